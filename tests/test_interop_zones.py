"""Our zones, their signatures and digests, checked by ldns, BIND and dnspython."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import dns.rdata
import dns.rdatatype
import dns.zone
import dns.zonefile
import pytest
from example_zones import DENIALS, EPOCH, EVERYTHING, WINDOW, name, zone
from worlds import world

from testbed import signals
from testbed.core import zonemd
from testbed.core.signer import KeySet, ds_for, sign_zone
from testbed.core.zone import Zone
from testbed.world.epoch import DAY

NOW = "20260101000000"
"""The epoch of our worlds, as ldns takes it."""


def run(*command: str | Path) -> str:
    """Standard output and error of a program that has to find all well."""
    done = tried(*command)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout}"
    return done.stdout


def tried(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(each) for each in command],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )


def written(zone: Zone, folder: Path) -> Path:
    """The zone as a master file, with types that other programs do not know in the form of RFC 3597."""
    lines = []
    for rrset in zone.transfer():
        for rdata in rrset:
            known = dns.rdatatype.is_metatype(rdata.rdtype) or rdata.rdtype < 256 or rdata.rdtype == 257
            shown = rdata if known else rdata.to_generic()
            rdtype = rdata.rdtype.name if known else f"TYPE{int(rdata.rdtype)}"
            lines.append(f"{rrset.name} {rrset.ttl} IN {rdtype} {shown.to_text()}\n")
    path = folder / "zone"
    path.write_text("".join(lines[:-1]))  # a transfer ends with the SOA once more
    return path


def contents(rrsets):
    return {(rrset.name, rrset.rdtype, rrset.covers): (rrset.ttl, wires(rrset)) for rrset in rrsets}


def wires(rrset):
    return frozenset(rdata.to_digestable() for rdata in rrset)


def check(zone: Zone, anchor, folder: Path, *, with_digest: bool = False) -> None:
    file = written(zone, folder)
    canonical = folder / "canonical"
    run("named-checkzone", "-i", "local", "-k", "ignore", "-D", "-o", canonical, zone.origin.to_text(), file)
    read = dns.zonefile.read_rrsets(canonical.read_text(), origin=zone.origin, rdclass=None)
    assert contents(read) == contents(zone)
    if anchor is not None:
        (folder / "anchor").write_text("".join(f"{zone.origin} 3600 IN DS {ds.to_text()}\n" for ds in anchor))
        digest = ["-ZZ"] if with_digest else []
        assert "verified" in run("ldns-verify-zone", *digest, "-t", NOW, "-k", folder / "anchor", file)


@pytest.mark.parametrize("denial", DENIALS)
@pytest.mark.parametrize("algorithm", [8, 10, 13, 14, 15, 16])
def test_signed_zones(denial, algorithm, tmp_path):
    keys = KeySet.derive(b"interop", name("example.org."), algorithm)
    signed = sign_zone(zone("example.org.", EVERYTHING), keys, **WINDOW, **DENIALS[denial])
    check(signed, ds_for(signed.origin, keys), tmp_path)
    now = int(time.time())  # dnssec-verify takes no other
    window = {"inception": now - DAY, "expiration": now + DAY}
    signed = sign_zone(zone("example.org.", EVERYTHING), keys, **window, **DENIALS[denial])
    output = run("dnssec-verify", "-o", "example.org.", written(signed, tmp_path))
    assert "Zone fully signed" in output


@pytest.mark.parametrize("signal", [each for each in signals.names() if each != "none"])
def test_zones_of_worlds(signal, tmp_path):
    built = world(signal=(signal,), secure=("root", "target-parent", "ns-parent", "ns-zone", "target"))
    for number, each in enumerate(built.zones.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        check(each, parents_ds(built, each), folder)


def parents_ds(built, zone):
    if zone.origin == dns.name.root:
        return built.trust_anchor
    found = (each.rrset(zone.origin, dns.rdatatype.DS) for each in built.zones.values() if each is not zone)
    return next((ds for ds in found if ds is not None), None) if zone.signed else None


@pytest.mark.parametrize("denial", [None, *DENIALS])
@pytest.mark.parametrize("hashes", [("SHA384",), ("SHA512",), ("SHA384", "SHA512")])
def test_digests_of_zones(denial, hashes, tmp_path):
    keys = KeySet.derive(b"interop", name("example.org."))

    def signed(plain):
        return plain if denial is None else sign_zone(plain, keys, **WINDOW, **DENIALS[denial])

    origin = name("example.org.")
    asked = zonemd.placeholder(origin, [zonemd.Hash[each] for each in hashes])
    plain = Zone(origin, [*zone("example.org.", EVERYTHING), asked])
    final = signed(zonemd.completed(plain, signed(plain)))
    assert zonemd.verify(final, ds_for(origin, keys) if denial else None, EPOCH).status.name == "VERIFIED"
    check(final, ds_for(origin, keys) if denial else None, tmp_path, with_digest=True)
    file = written(final, tmp_path)
    dns.zone.from_file(str(file), origin, relativize=False, check_origin=False).verify_digest()
    changed = Zone(origin, [each for each in final if each.name != name("deep.er.name.example.org.")])
    if denial is not None:
        assert tried("ldns-verify-zone", "-ZZ", "-t", NOW, written(changed, tmp_path)).returncode != 0
    with pytest.raises(dns.zone.DigestVerificationFailure):
        dns.zone.from_file(str(written(changed, tmp_path)), origin, relativize=False).verify_digest()
