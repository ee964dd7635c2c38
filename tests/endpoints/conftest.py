"""Fixtures of the endpoints' tests."""

from tests.lab.netns import namespaces

__all__ = ["namespaces"]
