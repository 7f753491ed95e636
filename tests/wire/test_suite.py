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

from testbed.reports.summary import Status, status
from testbed.run.cast import sensitive_name
from testbed.scenario.load import SCENARIOS, collect
from testbed.topology import TARGET

pytestmark = pytest.mark.wire

EVIL = "evil"


@pytest.fixture(scope="module")
def secrets():
    """The secrets of each run, as they are written: the zone, and the name."""
    return {
        cell.id: {
            "zone": cell.topology.by_role[TARGET].zone.to_text(omit_final_dot=True),
            "name": sensitive_name(cell).to_text(omit_final_dot=True),
        }
        for cell in collect([SCENARIOS])
    }


def test_everything_comes_out_as_expected(runs, fetched_knot):
    wrong = {run.id: run.mismatches or run.reason for run in runs if status(run) is not Status.AS_EXPECTED}
    if isinstance(fetched_knot, str):  # without it, a few scenarios are skipped
        wrong = {id: reason for id, reason in wrong.items() if "adox engines fetch knot" not in reason}
    assert not wrong


def test_a_headline_says_what_the_flags_say(runs):
    for run in runs:
        if run.verdict == "safe":
            assert not any((run.hijack, run.denial, run.downgrade)), run.id


needs_tshark = pytest.mark.skipif(
    not shutil.which("tshark") or not shutil.which("editcap"), reason="tshark is not installed"
)


def dissected(capture: Path) -> dict[int, str]:
    """What Wireshark shows of each packet of a capture, in lower case, by packet number."""
    output = subprocess.run(
        ["tshark", "-r", str(capture), "-d", "udp.port==853,quic", "-V"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.lower()
    packets = {}
    for text in ("\n" + output).split("\nframe ")[1:]:
        number, _, rest = text.partition(":")
        packets[int(number)] = rest
    return packets


def http3_payloads(capture: Path, packet: int) -> str:
    """What Wireshark has decrypted of HTTP/3, in which it reads no DNS, in a packet; in hexadecimal."""
    command = ["tshark", "-r", str(capture), "-Y", f"frame.number=={packet}"]
    fields = ["-T", "fields", "-e", "http3.frame_payload"]
    return subprocess.run([*command, *fields], capture_output=True, text=True, check=True).stdout


def keyless(capture: Path, folder: Path, name: str) -> Path:
    """A copy of a capture without keys and our remarks about packets: pcap has no place for them."""
    copy = folder / f"{name}.pcap"
    subprocess.run(["editcap", "-F", "pcap", capture, copy], check=True)
    return copy


def in_parallel(function, items):
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        return list(threads.map(function, items))


@needs_tshark
def test_every_exposure_is_in_the_packet_that_it_names(runs, secrets):
    wanted = defaultdict(list)
    for run in runs:
        for exposure in run.exposures:
            if exposure.how != "address":
                said = secrets[run.id][exposure.secret]
                wanted[Path(run.evidence, exposure.capture)].append((exposure.packet, said))
    assert wanted

    def missing(item):
        capture, exposures = item
        packets = dissected(capture)
        return [
            (str(capture), packet)
            for packet, said in exposures
            if said not in packets[packet]
            and dns.name.from_text(said).to_wire().hex() not in http3_payloads(capture, packet)
        ]

    assert not [hit for hits in in_parallel(missing, wanted.items()) for hit in hits]


@needs_tshark
def test_where_nothing_leaked_the_captures_do_not_have_it(runs, secrets, tmp_path):
    """Captures of the attacker's links, and of its server's, without the keys that it does not hold."""
    silent = [run for run in runs if run.leak == "none"]
    assert silent

    def found(item):
        number, run = item
        hits, zone = [], secrets[run.id]["zone"]
        for link in {*run.attacked_links, EVIL}:
            capture = Path(run.evidence, f"{link}.pcapng")
            if capture.exists():
                packets = dissected(keyless(capture, tmp_path, f"{number}-{link}"))
                hits += [(run.id, link, packet) for packet, text in packets.items() if zone in text]
        return hits

    assert not [hit for hits in in_parallel(found, enumerate(silent)) for hit in hits]


@needs_tshark
def test_that_search_would_find_it(runs, secrets, tmp_path):
    """The same search finds the name where it did leak in clear text."""
    run = next(run for run in runs if any(e.how == "clear" and e.secret == "name" for e in run.exposures))
    exposure = next(e for e in run.exposures if e.how == "clear" and e.secret == "name")
    capture = keyless(Path(run.evidence, exposure.capture), tmp_path, "keyless")
    assert secrets[run.id]["name"] in dissected(capture)[exposure.packet]
