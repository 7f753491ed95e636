"""Removes the DS records that carry delegation data, so that a server seems to offer no encryption."""

from testbed.attack.api import Capability
from testbed.attack.ds_algorithm import StripDsAlgorithm
from testbed.signals.ds_glue import DSGLUE


class StripDsGlue(StripDsAlgorithm):
    """Strips DS Glue from referrals and from answers to DS queries, with the signature over what held it."""

    capability = Capability.ON_PATH
    source = "draft-schwartz-ds-glue section 5"
    position = "the link of a parent"
    algorithm = DSGLUE
