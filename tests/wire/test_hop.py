"""The hop on a link passes messages on, whatever sits there; how fast is for `make bench` to say."""

import json

from sandboxed import run

from testbed.bench.hop import HOPS, PACE


def test_messages_come_through_every_kind_of_hop():
    speeds = json.loads(run("hop_cases.py"))
    assert list(speeds)[: len(HOPS)] == list(HOPS)
    for speed in (speeds[name] for name in HOPS):
        assert speed["per_second"] > 0
        assert speed["lost"] < speed["sent"] == int(PACE * 0.3)
