"""Fixtures of whole routers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.router.process import Process, process
from tests.router.rig import Rig


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: the log syncs each event, and that is not the subject."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as directory:
        yield Path(directory)


@pytest.fixture
def rig(memory_path: Path) -> Rig:
    """A router and its surroundings; nothing of it runs yet."""
    return Rig(memory_path)


@pytest.fixture
def routerd() -> Iterator[Process]:
    """A real process that does not run yet."""
    with process() as routerd:
        yield routerd


@pytest.fixture
def up(routerd: Process) -> Process:
    """It runs and has a lease."""
    routerd.start()
    routerd.until(routerd.bound)
    return routerd
