"""Every topology is sound, and the sensitive name can be resolved in it, over TLS all the way."""

from __future__ import annotations

import dns.rcode
import dns.rdatatype
import pytest
from places import network, world

from testbed import topology
from testbed.network.layout import NAME_LENGTH, lay_out
from testbed.topology import EVIL, MIRROR, Topology
from testbed.world.build import World
from testbed.world.zones import name_servers

NAMES = topology.names()


def everything(place: Topology, **options: object) -> World:
    """A world in which all zones are signed, and all servers but the attacker's encrypt and say so."""
    roles = [role for role in place.roles if role != EVIL]
    return world(place.name, signal=["ds-glue"], signed=roles, secure=roles, **options)


@pytest.mark.parametrize("name", NAMES)
def test_is_called_what_its_file_is_called(name):
    place = topology.load(name)
    assert place.name == name
    assert place.summary


@pytest.mark.parametrize("name", NAMES)
def test_roles_names_and_addresses_are_those_of_one_server_each(name):
    servers = topology.load(name).servers
    assert len({server.role for server in servers}) == len(servers)
    assert len({server.name for server in servers}) == len(servers)
    addresses = [address for server in servers for address in server.addresses]
    assert len(set(addresses)) == len(addresses)


@pytest.mark.parametrize("name", NAMES)
def test_each_zone_lies_below_that_of_its_parent(name):
    place = topology.load(name)
    for server in place.servers:
        if server.parent is None:
            assert len(server.zone) == 1
        else:
            above = place.by_role[server.parent].zone
            assert server.zone != above
            assert server.zone.is_subdomain(above)
    assert place.sensitive_name.is_subdomain(place.by_role["target"].zone)


@pytest.mark.parametrize("name", NAMES)
def test_interfaces_have_names_that_the_kernel_takes(name):
    for plan in lay_out(topology.load(name)).values():
        names = [end.name for end in plan.ends]
        assert len(set(names)) == len(names)
        assert all(len(interface) <= NAME_LENGTH for interface in names)


@pytest.mark.parametrize("name", NAMES)
def test_the_sensitive_name_is_resolved_over_tls_with_every_server(name):
    place = topology.load(name)
    alone = network(everything(place))
    answer = alone.ask(place.sensitive_name)
    assert answer.rcode() == dns.rcode.NOERROR
    assert any(rrset.rdtype == dns.rdatatype.A for rrset in answer.answer)
    assert {sent.transport.encrypted for sent in alone.sent} == {True}


def test_in_a_network_without_ipv4_there_is_no_ipv4_address():
    place = topology.load("ipv6-only")
    assert place.families == (6,)
    for plan in lay_out(place).values():
        if plan.name not in ("resolver", "client", "hop-client"):
            reached = [address for end in plan.ends for address in end.reached]
            assert reached
            assert all(":" in address for address in reached)
    built = everything(place)
    for server in built.topology.servers:
        zone = max((z for z in built.zones if server.name.is_subdomain(z)), key=len)
        assert built.zones[zone].rrset(server.name, dns.rdatatype.AAAA) is not None
        assert built.zones[zone].rrset(server.name, dns.rdatatype.A) is None


def test_all_servers_of_a_zone_stand_in_its_delegation_and_host_the_same():
    place = topology.load("multi-ns")
    built = everything(place)
    target = place.by_role["target"].zone
    expected = {server.name for server in name_servers(place, target)}
    assert len(expected) == 3
    for holder in (target, target.parent()):
        servers = built.zones[holder].rrset(target, dns.rdatatype.NS)
        assert {server.target for server in servers} == expected
    hosted = [built.hosting[role] for role in ("target", "target-2", "target-3")]
    assert hosted[0] == hosted[1] == hosted[2]
    assert len(hosted[0]) == place.hosted_zones


def test_there_are_thirteen_root_servers_on_one_link():
    place = topology.load("roots")
    letters = [server for server in place.servers if not server.zone.labels[0]]
    assert len([server for server in letters if server.link == "root"]) == 13
    assert len(everything(place).roots()) == 13
    assert [server.role for server in letters if server.link == MIRROR] == ["root-source"]


def test_how_many_zones_share_the_server_is_for_the_topology_to_say_unless_the_scenario_does():
    place = topology.load("shared-host")
    assert len(everything(place).hosting["target"]) == 1000
    assert len(everything(place, hosted_zones=3).hosting["target"]) == 3
