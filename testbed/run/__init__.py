"""Runs of scenarios: what takes part, the phases, and the workers that play them."""
