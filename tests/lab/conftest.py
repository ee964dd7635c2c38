"""Fixtures of the lab."""

from tests.lab.netns import namespaces

__all__ = ["namespaces"]
