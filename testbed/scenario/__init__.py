"""Scenario files: from YAML to concrete, validated cells, with errors that point at line and column."""
