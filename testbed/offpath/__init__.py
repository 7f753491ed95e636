"""Attackers that are on no link: their packets, with whatever source address, leave from the attacker's host."""
