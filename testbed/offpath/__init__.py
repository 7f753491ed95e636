"""Attackers that are on no link: what they send, as whomever, leaves from the attacker's own host."""
