"""What the process costs, as the system and the interpreter count it. Blocking, if briefly: call it in a thread."""

from __future__ import annotations

import gc
import os
import re
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from routerd.api.wire_status import RuntimeStats
from routerd.events.types import Status
from routerd.shapes.instant import Instant

PROC = Path("/proc/self")
CGROUPS = Path("/sys/fs/cgroup")


@attrs.define
class Collections:
    """How long the garbage collector stopped us, and when it last did (ns)."""

    paused: int = 0
    last: int | None = None
    _began: int = 0

    def __call__(self, phase: str, _: Mapping[str, Any]) -> None:
        """As `gc.callbacks` calls it."""
        if phase == "start":
            self._began = time.perf_counter_ns()
        elif self._began:
            self.paused += time.perf_counter_ns() - self._began
            self.last = time.time_ns()


COLLECTIONS = Collections()
"""Of this process, while `collections_timed`."""


@contextmanager
def collections_timed() -> Iterator[None]:
    """Time the collections meanwhile."""
    gc.callbacks.append(COLLECTIONS)
    try:
        yield
    finally:
        gc.callbacks.remove(COLLECTIONS)


def runtime_stats(known: Status) -> RuntimeStats:
    """All figures. `known` are those that only the root has: tasks, loopLagMillis, sockets, logLevel, logLevelUntil."""
    memory = memory_figures()
    tasks = known.get("tasks", 0)
    return RuntimeStats(
        collected_at=Instant(time.time_ns()),
        heap_alloc_bytes=memory.get("RssAnon", memory["VmRSS"]),
        heap_inuse_bytes=memory["VmRSS"],
        heap_objects=sys.getallocatedblocks(),
        stack_inuse_bytes=memory.get("VmStk", 0),
        sys_bytes=memory.get("VmSize", memory["VmRSS"]),
        **cgroup_figures(),
        num_goroutine=tasks,
        num_gc=sum(generation["collections"] for generation in gc.get_stats()),
        gc_pause_total_ns=COLLECTIONS.paused,
        last_gc=None if COLLECTIONS.last is None else Instant(COLLECTIONS.last),
        open_fds=open_files(),
        max_fds=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        loop_lag_millis=known.get("loopLagMillis"),
        log_level=known.get("logLevel"),
        log_level_until=None if known.get("logLevelUntil") is None else Instant(known["logLevelUntil"]),
        tasks=tasks,
        sockets=known.get("sockets"),
    )


def memory_figures() -> dict[str, int]:
    """Octets by their names in proc_pid_status(5); `VmRSS` is always there (without /proc: the largest so far)."""
    try:
        lines = (PROC / "status").read_text("ascii", "replace")
    except OSError:
        lines = ""
    figures = {name: int(kib) * 1024 for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", lines, re.MULTILINE)}
    return {"VmRSS": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, **figures}


def cgroup_figures() -> dict[str, Any]:
    """What the control group (v2) counts for us and what runs in it; empty where there is none."""
    try:
        path = (PROC / "cgroup").read_text("ascii", "replace")
    except OSError:
        return {}
    unified = re.search(r"^0::/(.*)$", path, re.MULTILINE)
    if unified is None:
        return {}
    group = CGROUPS / unified[1]
    found = {name: _number(group / file) for name, file in _FILES.items()}
    stat = dict(re.findall(r"^(\w+) (\d+)$", _text(group / "memory.stat"), re.MULTILINE))
    found |= {name: int(stat[key]) for name, key in _STATS.items() if key in stat}
    return {name: figure for name, figure in found.items() if figure is not None}


_FILES = {"cgroup_memory_current_bytes": "memory.current", "cgroup_memory_peak_bytes": "memory.peak"}
_STATS = {
    "cgroup_anon_bytes": "anon",
    "cgroup_file_bytes": "file",
    "cgroup_active_file_bytes": "active_file",
    "cgroup_inactive_file_bytes": "inactive_file",
    "cgroup_kernel_bytes": "kernel",
    "cgroup_slab_bytes": "slab",
}


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def open_files() -> int:
    """How many descriptors are open."""
    try:
        return len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208  (less the one that lists)
    except OSError:
        highest = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 16_384)
        return sum(_is_open(number) for number in range(highest))


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
