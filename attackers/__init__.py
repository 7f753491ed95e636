"""Attackers, one file each: the one subclass of ``Attacker`` in a file is found by being there."""
