"""Unix sockets: how a path is taken safely, and who is at the other end of a connection.

Not HTTP: `server` accepts, `connection` speaks.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
import sys
from pathlib import Path
from urllib.parse import quote

import attrs

DRAFT = "~"
"""What the name of a socket ends with until it has its rights. It is what ss(8) goes on showing."""
LONGEST_PATH = (107 if sys.platform == "linux" else 103) - len(DRAFT)
"""Bytes of a socket's path: sun_path less its NUL (unix(7) on Linux, unix(4) on FreeBSD) and DRAFT."""

# From <asm-generic/socket.h> and FreeBSD's <sys/un.h>: Python has no names for them.
_SO_PEERGROUPS = 59
_SOL_LOCAL = 0
_LOCAL_PEERCRED = 1

_UCRED = struct.Struct("=iII")
_XUCRED = struct.Struct("=IIh2x16I4xi")
_MOST_OPTION_BYTES = 1024  # what Python's getsockopt can take


@attrs.frozen
class Peer:
    """Who connected, as the kernel saw it at connect(2): later changes of the process do not count, and a
    descriptor handed on keeps the credentials of the one who opened it."""

    pid: int
    uid: int
    gid: int
    groups: frozenset[int]
    """Supplementary groups, the primary among them."""

    def __str__(self) -> str:
        return f"uid={self.uid} pid={self.pid}"


def _peer_groups(connection: socket.socket) -> tuple[int, ...]:
    try:
        data = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_OPTION_BYTES)
    except OSError as error:
        if error.errno not in (errno.ERANGE, errno.ENOPROTOOPT):
            raise
        return ()  # more than 256 groups, or a kernel that does not tell: none counts, which can only lessen rights
    return struct.unpack(f"={len(data) // 4}I", data)


def parse_xucred(data: bytes) -> Peer:
    """FreeBSD's `struct xucred` (unix(4), LOCAL_PEERCRED): it holds at most 16 groups, the effective one first.
    Raises OSError when it is another version of it."""
    if len(data) < _XUCRED.size:
        raise OSError(errno.EINVAL, f"a struct xucred of {len(data)} bytes")
    version, uid, count, *groups, pid = _XUCRED.unpack_from(data)
    if version != 0 or not 0 < count <= 16:
        raise OSError(errno.EINVAL, f"a struct xucred of version {version} with {count} groups")
    return Peer(pid, uid, groups[0], frozenset(groups[:count]))


if sys.platform == "linux":

    def peer_of(connection: socket.socket) -> Peer:
        """The credentials of the process that connected. Raises OSError."""
        pid, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        return Peer(pid, uid, gid, frozenset({gid, *_peer_groups(connection)}))
else:

    def peer_of(connection: socket.socket) -> Peer:
        """The credentials of the process that connected. Raises OSError."""
        return parse_xucred(connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, 256))


def exe_of(pid: int) -> str:
    """The program of a process, for people to read, or "" where /proc does not tell. It may have gone meanwhile, and
    who runs it chose its name: blanks and control characters come percent-encoded."""
    try:
        return quote(os.fsencode(Path(f"/proc/{pid}/exe").readlink()), safe="/._-+@:,()")
    except OSError:
        return ""


@attrs.frozen(eq=False)
class Listener:
    """A listening socket and the name it has in the file system, until the end of a `with` block."""

    socket: socket.socket
    path: str
    _inode: tuple[int, int]

    def close(self) -> None:
        """Stop listening. The file stays: whoever connects now is refused at once, not left waiting."""
        self.socket.close()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening and remove the file, unless another process has put its own socket there."""
        self.close()
        try:
            if _inode_of(self.path) == self._inode:
                Path(self.path).unlink()
        except FileNotFoundError:
            pass


def bind_unix(path: str, *, mode: int, gid: int = -1, backlog: int = 128) -> Listener:
    """Listen on `path` with exactly `mode` and group, replacing what a dead process left there.

    The socket gets its rights under another name and is then renamed into place, so that it can never be reached
    with the wrong ones, whatever the umask. Raises OSError: ENAMETOOLONG, EADDRINUSE (a live process serves it),
    EEXIST (a file that is no socket), or what the system says.
    """
    _check_length(path)
    check_free(path)
    draft = path + DRAFT
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)  # close-on-exec, as all of Python's
    try:
        listener.setblocking(False)
        Path(draft).unlink(missing_ok=True)
        listener.bind(draft)
        try:
            os.chown(draft, -1, gid)
            Path(draft).chmod(mode)
            inode = _inode_of(draft)
            listener.listen(backlog)
            Path(draft).rename(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except BaseException:
        listener.close()
        raise
    return Listener(listener, path, inode)


def _check_length(path: str) -> None:
    length = len(os.fsencode(path))
    if length > LONGEST_PATH:
        raise OSError(errno.ENAMETOOLONG, f"a socket's path has at most {LONGEST_PATH} bytes, this has {length}", path)


def check_free(path: str) -> None:
    """Raises OSError: EADDRINUSE (a live process serves it), EEXIST (a file that is no socket)."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise FileExistsError(errno.EEXIST, "this is no socket, and stays", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a live server with a full backlog is EAGAIN, not a wait
        code = probe.connect_ex(path)
        if code not in (errno.ECONNREFUSED, errno.ENOENT):
            raise OSError(errno.EADDRINUSE, f"another process serves this socket{_whose(probe, code)}", path)


def _whose(probe: socket.socket, code: int) -> str:
    return f" (pid {peer_of(probe).pid})" if code == 0 else ""


def _inode_of(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino
