"""Report cards: what a resolver does, found out by experiment."""
