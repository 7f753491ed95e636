"""The pure core: DNS logic without sockets, clocks or randomness of its own."""
