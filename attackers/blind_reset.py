"""Resets a DoT session that it does not see, guessing port and sequence number."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from testbed.attack.api import Moment, Spoofed, SpoofedSegment
from testbed.attack.guessing import Guessing, GuessingParameters

PORT = 853


class BlindResetParameters(GuessingParameters):
    """Whom it resets, and how it goes through the sequence numbers."""

    tells: Literal["resolver", "server"] = Field("resolver", description="Which end is sent the resets.")
    stride: int = Field(
        65535,
        ge=1,
        le=2**31,
        description="From one guess of a sequence number to the next; a window, to hit each window once.",
    )


class BlindReset(Guessing):
    """Sends TCP resets in the name of one end of a session to the other.

    A receiver that goes by RFC 5961 section 3 takes a reset only with exactly the number that it expects
    next; one that goes by RFC 793 takes any in its window.
    """

    source = "RFC 5961 section 1.2; RFC 4953 section 2"
    Parameters = BlindResetParameters
    parameters: BlindResetParameters

    def off_path(self, moment: Moment) -> Iterable[Spoofed]:
        """Go through the sequence numbers from some number on, and through ports at random."""
        start = self.scene.rng.getrandbits(32)
        for guess in self.guesses(moment, PORT, "tcp"):
            told, other = guess.ends(self.parameters.tells)
            sequence = (start + guess.number * self.parameters.stride) % 2**32
            yield SpoofedSegment(other, told, sequence, after=guess.after)
