"""Taking a path, and knowing who connects."""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from routerd.api.runtime import open_files
from routerd.api.sockets import LONGEST_PATH, Peer, bind_unix, exe_of, parse_xucred, peer_of

FIXTURES = Path(__file__).parent / "freebsd"


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose name leaves room for long ones in it."""
    directory = Path(f"/tmp/rd{os.getpid()}")
    directory.mkdir()
    yield directory
    for left in directory.iterdir():
        left.unlink()
    directory.rmdir()


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("mode", [0o660, 0o666])
def test_mode_whatever_the_umask(short: Path, umask: int, mode: int) -> None:
    path = short / "a.sock"
    with bind_unix(str(path), mode=mode):
        status = path.lstat()
        assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == mode
        assert [left.name for left in short.iterdir()] == ["a.sock"], "no draft is left"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a socket to any group")
def test_group(short: Path) -> None:
    with bind_unix(str(short / "a.sock"), mode=0o660, gid=4242):
        status = (short / "a.sock").lstat()
        assert (status.st_uid, status.st_gid) == (os.geteuid(), 4242)


def test_it_can_be_connected_to_and_is_not_inherited(short: Path) -> None:
    with bind_unix(str(short / "a.sock"), mode=0o600) as listener, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(short / "a.sock"))
        assert not listener.socket.get_inheritable()


def test_what_a_dead_process_left_is_replaced(short: Path) -> None:
    path = str(short / "a.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
        dead.listen()
    before = os.lstat(path).st_ino
    with bind_unix(path, mode=0o600):
        assert os.lstat(path).st_ino != before
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


def test_a_live_server_is_not_robbed(short: Path) -> None:
    path = str(short / "a.sock")
    with bind_unix(path, mode=0o600):
        with pytest.raises(OSError, match="another process serves this socket") as caught:
            bind_unix(path, mode=0o600)
        assert caught.value.errno == errno.EADDRINUSE and caught.value.filename == path
        assert f"pid {os.getpid()}" in str(caught.value)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


def test_a_live_server_with_a_full_backlog_is_not_robbed(short: Path) -> None:
    path = str(short / "a.sock")
    clients = []
    with bind_unix(path, mode=0o600, backlog=0):
        for _ in range(8):
            clients.append(client := socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            client.connect_ex(path)
        with pytest.raises(OSError, match="another process serves this socket"):
            bind_unix(path, mode=0o600)
    for client in clients:
        client.close()


def test_a_file_that_is_no_socket_stays(short: Path) -> None:
    (short / "a.sock").write_text("precious")
    with pytest.raises(FileExistsError, match="this is no socket, and stays"):
        bind_unix(str(short / "a.sock"), mode=0o600)
    assert (short / "a.sock").read_text() == "precious"


def test_the_longest_path_fits_and_the_next_does_not(short: Path) -> None:
    fits = str(short / ("x" * (LONGEST_PATH - len(str(short)) - 1)))
    assert len(fits) == LONGEST_PATH
    with bind_unix(fits, mode=0o600), socket.socket(socket.AF_UNIX) as client:
        client.connect(fits)
    with pytest.raises(OSError, match=f"at most {LONGEST_PATH} bytes, this has {LONGEST_PATH + 1}") as caught:
        bind_unix(fits + "x", mode=0o600)
    assert caught.value.errno == errno.ENAMETOOLONG and list(short.iterdir()) == []


def test_a_failure_leaves_nothing_behind(short: Path) -> None:
    (short / "a.sock").mkdir()  # no socket
    before = open_files()
    with pytest.raises(OSError):
        bind_unix(str(short / "a.sock"), mode=0o600)
    with pytest.raises(OSError):
        bind_unix(str(short / "none" / "a.sock"), mode=0o600)
    assert open_files() == before
    (short / "a.sock").rmdir()


def test_the_file_goes_at_the_end(short: Path) -> None:
    with bind_unix(str(short / "a.sock"), mode=0o600) as listener:
        listener.close()
        with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
            client.connect(str(short / "a.sock"))
        assert (short / "a.sock").exists(), "refused at once until the end, not missing"
    assert not (short / "a.sock").exists()


def test_a_file_that_another_has_put_there_stays(short: Path) -> None:
    path = short / "a.sock"
    with bind_unix(str(path), mode=0o600):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
    assert path.exists()


# Peers


def test_our_own_credentials() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        peer = peer_of(ours)
    assert (peer.pid, peer.uid, peer.gid) == (os.getpid(), os.geteuid(), os.getegid())
    assert peer.groups == {os.getegid(), *os.getgroups()}
    assert str(peer) == f"uid={os.geteuid()} pid={os.getpid()}"


@pytest.mark.parametrize("name", ["xucred-13.2.bin", "xucred-15.1.bin"])
def test_xucred_of_root_on_freebsd(name: str) -> None:
    """As the kernels of 13.2 and 15.1 gave it."""
    peer = parse_xucred((FIXTURES / name).read_bytes())
    assert (peer.uid, peer.gid, peer.groups) == (0, 0, frozenset({0})) and peer.pid > 100


def test_xucred_with_groups() -> None:
    """freebsd 15.1 repeats the effective group: the set has it once."""
    groups = [7, 7, 8] + [0] * 13
    data = struct.pack("=IIh2x16I4xi", 0, 1001, 3, *groups, 4711)
    assert parse_xucred(data) == Peer(4711, 1001, 7, frozenset({7, 8}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 40,
        struct.pack("=IIh2x16I4xi", 1, 0, 1, *[0] * 16, 1),
        struct.pack("=IIh2x16I4xi", 0, 0, 17, *[0] * 16, 1),
        struct.pack("=IIh2x16I4xi", 0, 0, 0, *[0] * 16, 1),
        struct.pack("=IIh2x16I4xi", 0, 0, -1, *[0] * 16, 1),
    ],
)
def test_an_xucred_that_is_not_one_gives_no_rights(data: bytes) -> None:
    with pytest.raises(OSError, match="struct xucred"):
        parse_xucred(data)


@pytest.mark.skipif(not Path("/proc/self/exe").exists(), reason="no /proc")
def test_exe(tmp_path: Path) -> None:
    assert exe_of(os.getpid()) == str(Path(sys.executable).resolve())
    assert exe_of(2**22 + 1) == ""
