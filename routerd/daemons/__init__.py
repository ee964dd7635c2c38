"""One module per managed daemon: its spec, its endpoint, its machine, and what its outputs mean to us."""
