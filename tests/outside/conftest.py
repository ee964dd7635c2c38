"""Fixtures of the clients from outside: a real routerd that has a lease, and what it serves."""

from tests.router.conftest import routerd, up

__all__ = ["routerd", "up"]
