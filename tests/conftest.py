"""Fixtures for every test: a fake clock that leaves threads time to answer."""

import signal

import pytest
import trio.testing
from hypothesis import settings

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that runs the tests in the background has it ignored, and the programs under test would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
"""A busy machine is no failure: property tests do not watch the clock."""


@pytest.fixture
def patient_clock() -> trio.testing.MockClock:
    """An autojump clock for tests that also use threads (SQLite): it jumps only after 0.1 s of real silence."""
    return trio.testing.MockClock(autojump_threshold=0.1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow tests run only when a mark expression is given (`make slow`; `make test` excludes them by one)."""
    if config.option.markexpr:
        return
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("slow")])
    items[:] = [item for item in items if not item.get_closest_marker("slow")]
