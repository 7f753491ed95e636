"""Unilateral probing: nobody announces anything, the resolver tries (RFC 9539).

The state machine is in ``testbed.core.probing``; the resolver consults it for servers about which no other
signal of the policy says anything.
"""

from testbed.core.signal import Signal


class Probing(Signal):
    """Encryption is tried beside Do53, without SNI and without regard to certificates."""

    name = "probing"
    summary = "the resolver tries encryption beside Do53"
    source = "RFC 9539"
    probes = True


SIGNAL = Probing()
