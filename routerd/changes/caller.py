"""Whether whoever asks sits at the other end of an SSH connection, and which: as their shell's environment tells it.

Where there is no /proc nobody can tell.
"""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path

from routerd.changes.guard import Caller

GENERATIONS = 32
"""Processes that are looked at: the one that asks, its parent, and so on."""
_MOST = 1 << 20


def caller_of(pid: int, proc: Path = Path("/proc")) -> Caller | None:
    """The SSH connection under which a process runs, None if it does not, or if that cannot be known. sudo takes the
    variable from its child: so its ancestors are asked, too. Blocks."""
    for _ in range(GENERATIONS):
        if pid <= 1:
            return None
        try:
            found = _connection((proc / str(pid) / "environ").read_bytes()[:_MOST])
            if found is not None:
                return found
            pid = _parent((proc / str(pid) / "stat").read_bytes())
        except (OSError, ValueError, IndexError):
            return None
    return None


def _connection(environment: bytes) -> Caller | None:
    """`SSH_CONNECTION` is client address, client port, server address, server port (ssh(1))."""
    for entry in environment.split(b"\0"):
        name, _, value = entry.partition(b"=")
        if name == b"SSH_CONNECTION":
            words = os.fsdecode(value).split(" ")
            if len(words) == 4 and _is_elsewhere(words[0]) and _is_elsewhere(words[2]):
                return Caller(local=words[2], remote=words[0])
    return None


def _is_elsewhere(text: str) -> bool:
    """Whether it is an address, and of a connection that leaves this host."""
    try:
        return not ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _parent(stat: bytes) -> int:
    """The second field after the name (proc(5)), which is in parentheses and may hold any others."""
    return int(stat.rpartition(b")")[2].split()[1])
