"""What the attacker's server serves, and what comes of it, when a delegation is forged."""

from __future__ import annotations

import dns.rdatatype
import pytest
from places import network, world
from worlds import attacker

from testbed.world.build import World


def served(of: World, link: str, **parameters: str) -> set[str]:
    return {zone.origin.to_text() for zone in attacker(of, "forge-ns", link, **parameters).serves()}


def test_a_delegation_above_the_target_brings_all_zones_down_to_it():
    hosted = world("hosted")
    assert served(hosted, "target-parent") == {"example.org."}
    assert served(hosted, "root", zone="org") == {"org.", "example.org."}


def test_a_delegation_beside_it_brings_what_servers_with_names_there_serve():
    split = world("split-parents")
    assert served(split, "tld-ns-parent", zone="nic-host.info") == {"nic-host.info.", "org.", "example.org."}
    assert served(split, "root", zone="info") == {"info.", "nic-host.info.", "org.", "example.org."}
    assert served(split, "ns-parent", zone="dnshost.net") == {"dnshost.net.", "example.org."}


def test_servers_with_names_in_a_zone_that_is_taken_get_the_attackers_address():
    split = world("split-parents")
    zones = attacker(split, "forge-ns", "tld-ns-parent", zone="nic-host.info").serves()
    names = {zone.origin.to_text(): zone for zone in zones}
    server = split.topology.by_role["target-parent"].name
    own = split.topology.by_role["evil"]
    address = names["nic-host.info."].rrset(server, dns.rdatatype.A)
    assert [rdata.address for rdata in address] == [own.ipv4]
    delegation = names["org."].rrset(split.topology.by_role["target"].zone, dns.rdatatype.NS)
    assert [rdata.target for rdata in delegation] == [own.name]


@pytest.mark.parametrize("signed", [True, False])
def test_a_zones_own_servers_are_forged_where_nothing_shows_it(signed):
    roles = ["root", "target-parent", "target"] if signed else []
    of = world("hosted", signed=roles)
    (zone,) = attacker(of, "forge-ns", "target-parent").serves()
    own = [rdata.target for rdata in zone.rrset(zone.origin, dns.rdatatype.NS)]
    role = "target" if signed else "evil"
    assert own == [of.topology.by_role[role].name]


def test_whoever_takes_the_name_of_a_top_level_domains_server_gets_the_query():
    of = world(
        "split-parents",
        signal=["ds-glue"],
        signed=["root", "target-parent", "ns-parent"],
        secure=["root", "target-parent", "tld-ns-zone", "ns-parent", "target"],
    )
    link = "tld-ns-parent"
    attackers = [attacker(of, "strip-ds-glue", link), attacker(of, "forge-ns", link, zone="nic-host.info")]
    attacked = network(of, **{link: attackers})
    assert attacked.ask("secret.example.org").answer
    asked = {sent.query.question[0].name.to_text() for sent in attacked.sent if sent.role == "evil"}
    assert "secret.example.org." in asked
