"""The attackers' side: what an attacker is written against, and how it is found."""
