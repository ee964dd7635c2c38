"""The metrics of the process: what the system is asked for."""

from __future__ import annotations

import resource
import time

from routerd.api.metric import counter, gauge, one
from routerd.api.plane import Plane
from routerd.api.runtime import memory_figures, open_files


def _memory(_: Plane) -> float:
    return memory_figures()["VmRSS"]


def _cpu(_: Plane) -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


PROCESS = (
    counter("process_cpu_seconds_total", "Seconds of processor time, user and system.", one(_cpu)),
    gauge("process_resident_memory_bytes", "Memory in use.", one(_memory)),
    gauge("process_open_fds", "Open descriptors.", one(lambda _: open_files())),
    gauge("process_max_fds", "How many there may be.", one(lambda _: resource.getrlimit(resource.RLIMIT_NOFILE)[0])),
    gauge(
        "process_start_time_seconds",
        "When routerd started, in seconds since 1970.",
        one(lambda plane: plane.started_at / 1e9),
    ),
    gauge(
        "process_uptime_seconds",
        "Seconds since then, by the wall clock.",
        one(lambda plane: (time.time_ns() - plane.started_at) / 1e9),
    ),
)
"""Blocking, if briefly: read them in a thread."""
