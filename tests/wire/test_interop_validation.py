"""Our validator and Unbound's come to the same about zones broken in every way that RFC 4035 knows."""

import json
import re
from collections import Counter
from fnmatch import fnmatch

from sandboxed import run

DIFFERENCES = [
    # zone, name and type, what we say, what Unbound says, and why either may be said
    (
        "ds-sha1-beside-a-wrong-sha256",
        "*",
        "bogus",
        "secure insecure",
        "RFC 4509 section 3: SHA-1 is not used",
    ),
    ("ksk-revoked", "*", "bogus", "secure insecure", "RFC 5011 section 2.1: revoked keys serve no purpose"),
    ("zsk-revoked", "*", "bogus", "secure insecure", "RFC 5011 section 2.1: revoked keys serve no purpose"),
    # An RCODE is not signed. In answers we go by the data, else by the RCODE; Unbound does the reverse.
    ("rcode-always-*", "*", "secure insecure", "bogus", "RFC 4035 section 3: no signature covers the header"),
    ("rcode-always-*", "*", "bogus", "secure insecure", "RFC 4035 section 3: no signature covers the header"),
    ("hash-of-the-wildcard-matches", "x.wild MX", "bogus", "secure", "RFC 4035 section 3: likewise"),
    # That a name does not exist takes three proofs. In an opt-out span Unbound does without the wildcard's.
    ("one-of-the-proofs-stripped", "nothing.* A", "bogus", "insecure", "RFC 5155 section 8.4"),
    # The record of an unsigned delegation in a negative answer: we let it prove nothing else, Unbound goes
    # on as if it had come in a referral, which is no less than anybody could have sent in its place.
    ("type-denied-with-the-record-of-delegation", "www.plain A", "bogus", "insecure", "RFC 6840 section 4.1"),
    ("name-below-a-delegation-denied", "www.plain A", "bogus", "insecure", "RFC 6840 section 4.1"),
    ("bitmaps-of-delegation", "*", "bogus", "insecure", "RFC 6840 section 4.1"),
    # No server expands NSEC records. We ignore such a record, Unbound reads it under its wildcard's name.
    ("wildcard-denied-with-its-own-expansion", "x.wild *", "bogus", "secure", "RFC 4035 section 3.1.3.3"),
    # Signed as if expanded from a wildcard above the zone, which we hold to be out of the zone.
    ("*-too-few-labels", "*", "bogus", "secure insecure", "RFC 4035 section 5.3.1"),
]
EXPECTED = {
    "good": {"secure"},
    "without-ds": {"insecure"},
    "without-any-signature": {"bogus"},
    "ds-unknown-algorithm": {"insecure"},
    "ds-wrong-digest": {"bogus"},
    "no-keys": {"bogus"},
}
"""Verdicts on questions about secret A, so that agreement is not all that counts."""


def explained(zone, question, ours, theirs):
    return any(
        fnmatch(zone, pattern)
        and fnmatch(question, asked)
        and ours in ours_may_be.split()
        and theirs in theirs_may_be.split()
        for pattern, asked, ours_may_be, theirs_may_be, _ in DIFFERENCES
    )


def test_the_verdicts_are_those_of_unbound():
    rows = json.loads(run("unbound_cases.py", timeout=400))
    zones = {label for label, *_ in rows}
    assert len(zones) > 250
    found = Counter()
    unexplained = []
    for label, relative, rdtype, ours, theirs in rows:
        breakage = re.sub(r"-\d$", "", label)
        found[ours] += 1
        if (relative, rdtype) == ("secret", "A") and breakage in EXPECTED:
            assert ours in EXPECTED[breakage], label
        if ours != theirs and not explained(breakage, f"{relative} {rdtype}", ours, theirs):
            unexplained.append(f"{label}: {relative} {rdtype} is {ours} for us, {theirs} for Unbound")
    assert unexplained == []
    assert set(found) == {"secure", "insecure", "bogus"}
    assert min(found.values()) > 500
