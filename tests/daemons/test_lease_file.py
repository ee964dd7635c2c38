"""The lease file on a real disk, with crashes at every step and a disk that is full."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from routerd.daemons import lease_file

CRASH_AT = """
import os, sys
from pathlib import Path
from routerd.daemons import lease_file

step, path, data = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].encode()

def trace(frame, event, argument):
    global step
    if frame.f_code.co_filename != lease_file.__file__:
        return None
    if event == "line":
        step -= 1
        if step < 0:
            os._exit(9)
    return trace

sys.settrace(trace)
lease_file.save(path, data)
"""

FULL = """
import resource, sys
from pathlib import Path
from routerd.daemons import lease_file

resource.setrlimit(resource.RLIMIT_FSIZE, (4, 4))
try:
    lease_file.save(Path(sys.argv[1]), b"more than four octets")
except OSError:
    sys.exit(7)
"""


def run(script: str, *arguments: str) -> int:
    return subprocess.run([sys.executable, "-c", script, *arguments], check=False).returncode


@pytest.mark.req("C5")
def test_what_was_saved_is_read(tmp_path: Path) -> None:
    path = tmp_path / "dhcpv4-client" / "wan" / "lease.json"
    lease_file.save(path, b"one")
    assert lease_file.read(path) == b"one"
    lease_file.save(path, b"two")
    assert lease_file.read(path) == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [file.name for file in path.parent.iterdir()] == ["lease.json"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "lease.json"
    assert lease_file.read(path) is None
    assert lease_file.read(tmp_path / "nowhere" / "lease.json") is None
    lease_file.remove(path)
    lease_file.save(path, b"one")
    lease_file.remove(path)
    assert lease_file.read(path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.req("C5", "breaks")
def test_a_crash_at_any_step_leaves_the_old_content_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "lease.json"
    seen = []
    for step in range(100):
        lease_file.save(path, b"old")
        code = run(CRASH_AT, str(step), str(path), "new")
        seen.append(lease_file.read(path))
        if code == 0:
            break
        assert code == 9
    assert code == 0
    turn = seen.index(b"new")
    assert seen == [b"old"] * turn + [b"new"] * (len(seen) - turn)
    assert 5 < turn < len(seen) - 1  # crashes before the rename, and after it

    lease_file.save(path, b"newer")  # whatever the crashes left behind is in nobody's way
    assert lease_file.read(path) == b"newer"
    assert [file.name for file in tmp_path.iterdir()] == ["lease.json"]


@pytest.mark.req("C5", "breaks")
def test_a_full_disk_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "lease.json"
    lease_file.save(path, b"old")
    assert run(FULL, str(path)) == 7
    assert lease_file.read(path) == b"old"


@pytest.mark.req("C5", "breaks")
def test_trouble_of_any_other_kind_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="Not a directory"):
        lease_file.read(tmp_path / "file" / "lease.json")
    with pytest.raises(OSError, match=r".+"):
        lease_file.save(tmp_path / "file" / "lease.json", b"")
    (tmp_path / "lease.json").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        lease_file.read(tmp_path / "lease.json")


@pytest.mark.req("C5", "breaks")
def test_a_symbolic_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / ".lease.json.new").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        lease_file.save(tmp_path / "lease.json", b"one")
    assert victim.read_bytes() == b"precious"
