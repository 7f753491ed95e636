"""Engines: resolvers under test, the reference resolver first."""
