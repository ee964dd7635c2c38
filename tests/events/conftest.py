from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.events.disks import SmallDisk, small_files, small_filesystem


@pytest.fixture(params=[small_filesystem, small_files])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    """A full disk in two ways, of which the second takes no privilege."""
    place = tmp_path / "small"
    place.mkdir()
    with request.param(place) as disk:
        yield disk
