"""Fixtures of the host's tests."""

import pytest

pytest.register_assert_rewrite("tests.host.suite")

from tests.lab.netns import namespaces  # noqa: E402

__all__ = ["namespaces"]
