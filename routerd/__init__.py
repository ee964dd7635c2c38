"""routerd: a router control plane for plain Linux and FreeBSD hosts."""

__version__ = "0.1.0"
