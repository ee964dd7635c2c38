"""routerctl: the command line of routerd. It speaks the Control API and imports nothing of routerd."""

__version__ = "0.1.0"
