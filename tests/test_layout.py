"""The plan of a network: names, addresses, routes, without a kernel."""

import itertools

import dns.name
import pytest

from testbed import topology
from testbed.network.layout import NAME_LENGTH, hop_name, lay_out, pairs
from testbed.topology import Topology, server, within

SHARED = Topology(
    name="shared",
    summary="two servers and one with a long name behind the same hop",
    servers=(
        server("root", ".", "a.root-servers.net.", 1, parent=None),
        server("a-role-with-quite-a-long-name", "org.", "a.nic.org.", 3, parent="root", link="tld"),
        server("a-role-with-quite-a-lot-of-name", "net.", "a.nic.net.", 4, parent="root", link="tld"),
    ),
    sensitive_name=dns.name.from_text("secret.example.org."),
)


@pytest.fixture(params=[*topology.names(), "shared"])
def layout(request):
    return lay_out(SHARED if request.param == "shared" else topology.load(request.param))


def test_every_pair_is_known_at_both_ends(layout):
    for plan, end in pairs(layout):
        other = next(far for far in layout[end.to].ends if far.to == plan.name)
        assert (end.name, end.mac) == (other.peer_name, other.peer_mac)
        assert (end.peer_name, end.peer_mac) == (other.name, other.mac)
    assert sum(len(plan.ends) for plan in layout.values()) == 2 * len(list(pairs(layout)))


def test_names_and_ethernet_addresses_are_unique_and_valid(layout):
    macs = [end.mac for plan in layout.values() for end in plan.ends]
    assert len(set(macs)) == len(macs)
    for plan in layout.values():
        names = [end.name for end in plan.ends]
        assert len(set(names)) == len(names)
        assert all(0 < len(name) <= NAME_LENGTH for name in names)


def test_addresses_are_unique(layout):
    addresses = list(itertools.chain.from_iterable(plan.addresses for plan in layout.values()))
    assert len(set(addresses)) == len(addresses)


def test_a_hop_has_the_resolver_or_the_ca_first(layout):
    for plan in layout.values():
        if plan.router:
            near = "ca" if plan.name == hop_name("ca") else "resolver"
            assert [end.to == near for end in plan.ends] == [True] + [False] * (len(plan.ends) - 1)


def test_servers_of_one_link_share_its_hop():
    layout = lay_out(SHARED)
    hop = layout[hop_name("tld")]
    assert [end.to for end in hop.ends] == ["resolver", SHARED.servers[1].role, SHARED.servers[2].role]
    (towards,) = [end for end in layout["resolver"].ends if end.to == hop.name]
    assert set(towards.reached) == {*SHARED.servers[1].addresses, *SHARED.servers[2].addresses}


@pytest.mark.parametrize("name", topology.names())
def test_the_attacker_reaches_everybody_by_its_own_link_and_they_it(name):
    place = topology.load(name)
    plans = lay_out(place)
    link = place.by_role["evil"].link
    (leaving,) = [end for end in plans["evil"].ends if end.to == hop_name(link)]
    others = [one for one in place.servers if one.link != link]
    reached = [address for other in others for address in other.addresses]
    assert leaving.reached[-len(reached) :] == tuple(reached)
    for other in others:
        (arriving,) = [end for end in plans[other.role].ends if end.to == hop_name(link)]
        assert arriving.reached == tuple(within(place.by_role["evil"].addresses, other.families))
        (leading,) = [end for end in plans[hop_name(link)].ends if end.to == other.role]
        assert leading.reached == other.addresses


def test_the_same_plan_each_time():
    assert lay_out(SHARED) == lay_out(SHARED)
