"""Fixtures of the lab."""

from tests.lab.netns import namespaces
from tests.lab.street import street

__all__ = ["namespaces", "street"]
