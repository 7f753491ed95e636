"""No signal at all: name servers may encrypt, but nobody says so."""

from testbed.core.signal import Signal


class NoSignal(Signal):
    """Nothing is published and nothing is looked for."""

    name = "none"
    summary = "nothing announces encryption"
    source = "RFC 1034"


SIGNAL = NoSignal()
