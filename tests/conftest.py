"""Fixtures for every test: a fake clock that leaves threads time to answer."""

import pytest
import trio.testing
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
"""A busy machine is no failure: property tests do not watch the clock."""


@pytest.fixture
def patient_clock() -> trio.testing.MockClock:
    """An autojump clock for tests that also use threads (SQLite): it jumps only after 0.1 s of real silence."""
    return trio.testing.MockClock(autojump_threshold=0.1)
