"""Fixtures for every test: a fake clock that leaves threads time to answer."""

import pytest
import trio.testing


@pytest.fixture
def patient_clock() -> trio.testing.MockClock:
    """An autojump clock for tests that also use threads (SQLite): it jumps only after 0.1 s of real silence."""
    return trio.testing.MockClock(autojump_threshold=0.1)
