"""An off-path attacker for the tests of scenario files."""

from testbed.attack.api import Attacker, Capability


class Spray(Attacker):
    """Sprays forged answers from where it cannot see queries."""

    capability = Capability.OFF_PATH
    source = "a test"
