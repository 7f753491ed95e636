"""Root servers that are known to encrypt: the knowledge comes with the resolver, in its root hints.

Nothing is published, so nothing can be stripped or forged on the way. The hints name the transports of each
root server; what they say counts as validated and never expires. It comes before all other signals, and there
is no order of preference in which it would be of use to have it later: hence it is a switch of the policy,
``preconfigured_root``, and not an entry in its list of signals. To name it in ``world.signal`` says that the
operators publish nothing else.
"""

from testbed.core.resolver.state import PRECONFIGURED
from testbed.core.signal import Signal


class Preconfigured(Signal):
    """The resolver's root hints say which root servers encrypt."""

    name = PRECONFIGURED
    summary = "the resolver's root hints say which root servers encrypt"
    source = "RFC 8109 section 2 (root hints)"


SIGNAL = Preconfigured()
