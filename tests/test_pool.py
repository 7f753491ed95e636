"""Which scenarios a worker is given: a network is not taken down while there is work for it."""

from __future__ import annotations

from types import SimpleNamespace

from testbed.run.pool import following


def batches(*kinds: str):
    """Batches from texts such as "hosted*3": a topology, and how many cells there are."""
    made = []
    for kind in kinds:
        name, _, count = kind.partition("*")
        made.append([SimpleNamespace(scenario=SimpleNamespace(topology=name))] * int(count or 1))
    return made


def test_a_worker_stays_with_its_topology():
    assert following(batches("roots*5", "hosted*3", "hosted*2"), "hosted", set()) == 1


def test_it_stays_even_where_another_worker_is():
    assert following(batches("roots*5", "hosted"), "hosted", {"hosted"}) == 1


def test_a_new_worker_takes_the_topology_with_the_most_work():
    assert following(batches("roots*5", "hosted*3", "hosted*3"), "", set()) == 1


def test_it_leaves_alone_what_another_worker_has_taken():
    assert following(batches("roots*2", "hosted*3", "hosted*3"), "", {"hosted"}) == 0


def test_in_the_end_it_helps():
    assert following(batches("hosted*3", "hosted"), "roots", {"hosted"}) == 0


def test_each_network_is_built_once_by_one_worker():
    left = batches("a*3", "b*2", "c*2", "a", "b*4", "c")
    topology, built = "", []
    while left:
        batch = left.pop(following(left, topology, set()))
        if batch[0].scenario.topology != topology:
            topology = batch[0].scenario.topology
            built.append(topology)
    assert built == ["b", "a", "c"]
