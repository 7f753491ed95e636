"""Worlds: the zones, keys, certificates and services that a scenario describes."""
