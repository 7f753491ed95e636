"""Topologies, one file each: a module-level ``TOPOLOGY`` is found by being there."""
