"""Disks that are too small."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import attrs
import pytest


@attrs.frozen
class SmallDisk:
    """A place where about half a megabyte fits, until there is `room`."""

    place: Path
    room: Callable[[], None]


@contextmanager
def small_filesystem(place: Path) -> Iterator[SmallDisk]:
    """A real file system of 1 MiB, half of it a file that can be removed. Skips the test where that is not allowed."""
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("mounting a file system takes root; the limit on file size is tested instead")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=False).returncode:
        pytest.skip("this root may not mount; the limit on file size is tested instead")
    ballast = place / "ballast"
    ballast.write_bytes(bytes(2**19))
    try:
        yield SmallDisk(place, ballast.unlink)
    finally:
        subprocess.run(["umount", place], check=True)


@contextmanager
def small_files(place: Path) -> Iterator[SmallDisk]:
    """No file of this process gets larger than half a MiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**19, hard))
    try:
        yield SmallDisk(place, partial(resource.setrlimit, resource.RLIMIT_FSIZE, (soft, hard)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill_up(path: Path) -> None:
    """Leave no block of the file system free."""
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))
