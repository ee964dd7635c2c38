"""Ethernet in memory, by-the-RFC peers, seeded faults: the demo and the simulation tests stand on it."""
