"""Removes the DS records that pin keys of DoT servers, so that a zone seems not to ask for encryption."""

from testbed.attack.api import Capability
from testbed.attack.ds_algorithm import StripDsAlgorithm
from testbed.signals.ds_pin import DOTPIN


class StripDsPin(StripDsAlgorithm):
    """Strips pins from referrals and from answers to DS queries, with the signature over what held them."""

    capability = Capability.ON_PATH
    source = "draft-vandijk-dprive-ds-dot-signal-and-pin, section Security Considerations"
    position = "the link of a parent"
    algorithm = DOTPIN
