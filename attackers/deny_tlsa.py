"""Answers queries for TLSA records with "no such data", so that a server seems to have no such credential."""

import dns.rdatatype

from attackers.deny_svcb import DenySvcb


class DenyTlsa(DenySvcb):
    """Denies TLSA records. Clients tell a forged denial from a true one by DNSSEC, or not at all."""

    source = "RFC 6698 section 4.1"
    position = "the link of the zone that holds the servers' names"
    denied = dns.rdatatype.TLSA
