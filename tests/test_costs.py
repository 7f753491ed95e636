"""Costs: the model of what is to be expected, and how a query's cost is taken from two runs."""

from __future__ import annotations

import pytest
import records

from testbed import signals
from testbed.compare import reference
from testbed.core.transport import Transport
from testbed.record import Counts
from testbed.tables import costs
from testbed.tables.costs import STATES, note, predicted
from testbed.tables.mechanisms import Mechanism, all_of_them

DOT, DOQ = Transport.DOT, Transport.DOQ


def mechanism(*names, secure=("target",)):
    return Mechanism(names[0], names, secure=secure)


@pytest.mark.parametrize(
    ("names", "transport", "state", "trips"),
    [
        (("none",), DOT, "cold", 0),
        (("svcb-glue",), DOT, "cold", 2),
        (("svcb-glue",), DOQ, "cold", 1),
        (("svcb-glue",), DOT, "open", 0),
        (("svcb-query",), DOT, "cold", 3),
        (("svcb-query",), DOT, "warm", 2),
        (("svcb-query",), DOT, "open", 0),
        (("ds-glue",), DOT, "cold", 1),
        (("probing",), DOT, "cold", 0),
        (("probing",), DOT, "warm", 2),
        (("oots",), DOQ, "warm", 1),
    ],
)
def test_the_model_is_that_of_the_protocols(names, transport, state, trips):
    assert predicted(mechanism(*names), transport, state) == trips


def test_a_root_that_encrypts_costs_a_handshake_once():
    both = mechanism("svcb-glue", secure=("root", "target"))
    assert predicted(both, DOT, "empty") == predicted(both, DOT, "cold") + 2


def test_transports_are_in_the_order_of_what_they_cost():
    for state in STATES:
        udp, doq, dot, doh = (
            costs.ROUND_TRIPS[transport][state] for transport in (Transport.UDP, DOQ, DOT, Transport.DOH)
        )
        assert udp <= doq <= dot == doh


def run(mechanism_name, state, which, queries, trips):
    id = f"costs/{mechanism_name}/dot/{state}/{which}"
    counts = Counts(queries=queries, round_trips=trips, handshakes=trips // 3, bytes=100 * queries)
    return records.record(id, counts=counts)


def test_a_cost_is_a_difference_of_differences():
    runs = [
        run("none", "warm", "asked", 11, 7),
        run("none", "warm", "cached", 10, 6),
        run("ds-glue", "warm", "asked", 13, 12),
        run("ds-glue", "warm", "cached", 12, 9),
    ]
    found = {(cost.mechanism, cost.state): cost for cost in costs.table(runs)}
    assert set(found) == {("none", "warm"), ("ds-glue", "warm")}
    cost = found["ds-glue", "warm"]
    assert (cost.added.queries, cost.added.round_trips, cost.added.handshakes) == (0, 2, 1)
    assert (cost.predicted, cost.in_clear) == (2, False)
    kept = costs.entries([cost])
    assert reference.parse(reference.write(kept, "kept")) == kept


def test_every_signal_is_measured_in_every_state(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ids = {cell.scenario.id for cell in costs.cells()}
    for name in signals.names():
        for state in STATES:
            assert f"costs/{name}/dot/{state}/asked" in ids


def test_where_the_model_is_wrong_there_is_a_reason():
    kept = reference.load(reference.COSTS_FILE)
    assert {id.split("/")[1] for id in kept} >= {item.name for item in all_of_them()}
    for id, entry in kept.items():
        name = id.split("/")[1]
        assert note(name, int(entry["round-trips"]), int(entry["predicted"])) != "not explained", id
