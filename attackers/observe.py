"""Reads what passes, and does nothing else."""

from testbed.attack.api import Attacker, Capability


class Observe(Attacker):
    """A passive observer. It has no hooks: what it could read is found in the capture of its link."""

    capability = Capability.PASSIVE
    source = "RFC 7626 section 2.4.1"
