"""The scenarios that come with the testbed: as expected, and for the reason that the packets show.

What the verdict says about packets is checked with Wireshark's dissectors, which are not ours.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dns.name
import pytest
from all_cells import all_cells
from wireshark import Sharkd

from testbed import results
from testbed.compare import reference
from testbed.reports.summary import Status, status
from testbed.run.cast import sensitive_name
from testbed.tables import costs
from testbed.topology import EVIL, TARGET


@pytest.fixture(scope="module")
def cells():
    return {cell.id: cell for cell in all_cells()}


@pytest.fixture(scope="module")
def secrets(cells):
    """The secrets of each run, as they are written: the zone, and the name."""
    return {
        id: {
            "zone": cell.topology.by_role[TARGET].zone.to_text(omit_final_dot=True),
            "name": sensitive_name(cell).to_text(omit_final_dot=True),
        }
        for id, cell in cells.items()
    }


def test_everything_comes_out_as_expected(runs, fetched_knot):
    wrong = {run.id: run.mismatches or run.reason for run in runs if status(run) is not Status.AS_EXPECTED}
    if isinstance(fetched_knot, str):  # without it, a few scenarios are skipped
        wrong = {id: reason for id, reason in wrong.items() if "adox engines fetch knot" not in reason}
    assert not wrong


def test_it_is_what_was_accepted(runs):
    accepted = results.read(reference.FOLDER).entries
    kept = {id: entry for id, entry in accepted.items() if not id.startswith(f"{costs.FOLDER}/")}
    changed = reference.differences(kept, reference.entries(runs))
    assert not {found.id: found.texts for found in changed}


def test_a_headline_says_what_the_flags_say(runs):
    for run in runs:
        if run.verdict == "safe":
            assert not any((run.hijack, run.denial, run.downgrade)), run.id


needs_wireshark = pytest.mark.skipif(
    not all(map(shutil.which, ("tshark", "editcap", "sharkd"))), reason="tshark is not installed"
)


def fields(capture: Path, which: str, *names: str) -> list[list[str]]:
    """What Wireshark finds in some fields of each packet that a filter lets through."""
    command = ["tshark", "-r", str(capture), "-Y", which, "-T", "fields"]
    command += [part for name in names for part in ("-e", name)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in output.splitlines()]


def may_be_forged(capture: Path, resolver: frozenset[str]) -> set[int]:
    """Packets that the attacker may have made up: they go to the resolver, and have passed the attacker.

    What a server sent is on the other side of the attacker's hop, too; the attacker's server is the attacker.
    """
    found = fields(capture, "ip or ipv6", "frame.number", "frame.interface_name", "ip.dst", "ipv6.dst")
    return {
        int(packet)
        for packet, side, *destinations in found
        if (side == "resolver side" or capture.stem == EVIL) and not resolver.isdisjoint(destinations)
    }


def http3_payloads(capture: Path, packet: int) -> str:
    """What Wireshark has decrypted of HTTP/3, in which it reads no DNS, in a packet; in hexadecimal."""
    return fields(capture, f"frame.number=={packet}", "http3.frame_payload")[0][0]


def keyless(capture: Path, folder: Path) -> Path:
    """A copy of a capture without keys and our remarks about packets: pcap has no place for them."""
    copy = folder / f"{'-'.join(capture.parts[-3:])}.pcap"
    subprocess.run(["editcap", "-F", "pcap", capture, copy], check=True)
    return copy


def may_show(capture: Path, zone: str) -> bool:
    """Whether a zone's first label stands anywhere in a capture; if not, no dissector finds the zone."""
    return zone.partition(".")[0].encode() in capture.read_bytes().lower()


def in_parallel(function, items):
    """What a function finds with a Sharkd in each of some items, all together."""
    items, workers = list(items), len(os.sched_getaffinity(0))

    def share(number):
        with Sharkd() as sharkd:
            return [hit for item in items[number::workers] for hit in function(sharkd, item)]

    with ThreadPoolExecutor(workers) as threads:
        return [hit for hits in threads.map(share, range(workers)) for hit in hits]


@needs_wireshark
def test_every_exposure_is_in_the_packet_that_it_names(runs, secrets):
    wanted = defaultdict(list)
    for run in runs:
        for exposure in run.exposures:
            if exposure.how != "address":
                said = secrets[run.id][exposure.secret]
                wanted[Path(run.evidence, exposure.capture)].append((exposure.packet, said))
    assert wanted

    def missing(sharkd, item):
        capture, exposures = item
        packets = sharkd.dissected(capture)
        return [
            (str(capture), packet)
            for packet, said in exposures
            if said not in packets[packet]
            and dns.name.from_text(said).to_wire().hex() not in http3_payloads(capture, packet)
        ]

    assert not in_parallel(missing, wanted.items())


@needs_wireshark
def test_where_nothing_leaked_the_captures_do_not_have_it(runs, cells, secrets, tmp_path):
    """Captures of the attacker's links, and of its server's, without the keys that it does not hold."""
    silent = [run for run in runs if run.leak == "none"]
    assert silent

    def found(sharkd, run):
        hits, zone = [], secrets[run.id]["zone"]
        resolver = frozenset(cells[run.id].topology.resolver_addresses)
        for link in {*run.attacked_links, EVIL}:
            capture = Path(run.evidence, f"{link}.pcapng")
            if capture.exists() and may_show(copy := keyless(capture, tmp_path), zone):
                showing = {packet for packet, text in sharkd.dissected(copy).items() if zone in text}
                hits += [(run.id, link, packet) for packet in showing - may_be_forged(capture, resolver)]
        return hits

    assert not in_parallel(found, silent)


@needs_wireshark
def test_that_search_would_find_it(runs, secrets, tmp_path):
    """The same search finds the name where it did leak in clear text."""
    leaked = {
        Path(run.evidence, exposure.capture): (secrets[run.id], exposure)
        for run in runs
        for exposure in run.exposures
        if exposure.how == "clear" and exposure.secret == "name"
    }
    copies = {capture: keyless(capture, tmp_path) for capture in leaked}
    assert not [capture for capture, copy in copies.items() if not may_show(copy, leaked[capture][0]["zone"])]
    capture, (said, exposure) = next(iter(leaked.items()))
    with Sharkd() as sharkd:
        assert said["name"] in sharkd.dissected(copies[capture])[exposure.packet]
