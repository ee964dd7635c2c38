"""What the process costs: as this system counts it, and where a system does not tell."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from routerd.api import runtime
from routerd.api.runtime import (
    COLLECTIONS,
    cgroup_figures,
    collections_timed,
    memory_figures,
    open_files,
    runtime_stats,
)


def test_open_files_are_counted() -> None:
    before = open_files()
    numbers = [os.dup(0) for _ in range(3)]
    assert open_files() == before + 3
    for number in numbers:
        os.close(number)
    assert open_files() == before


def test_open_files_where_nothing_lists_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """FreeBSD without fdescfs: each is tried."""
    listed = open_files()

    def refuse(_: object) -> list[str]:
        raise FileNotFoundError

    monkeypatch.setattr(os, "listdir", refuse)
    assert open_files() == listed


def test_memory_where_there_is_no_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "PROC", tmp_path)
    assert memory_figures().keys() == {"VmRSS"} and memory_figures()["VmRSS"] > 10 << 20
    assert cgroup_figures() == {}
    stats = runtime_stats({})
    assert stats.heap_alloc_bytes == stats.heap_inuse_bytes == stats.sys_bytes > 10 << 20
    assert stats.cgroup_anon_bytes is None and stats.stack_inuse_bytes == 0


def test_the_control_group_s_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proc, group = tmp_path / "proc", tmp_path / "cgroup" / "system.slice" / "routerd.service"
    proc.mkdir()
    group.mkdir(parents=True)
    (proc / "cgroup").write_text("1:name=systemd:/x\n0::/system.slice/routerd.service\n")
    (group / "memory.current").write_text("4096\n")
    (group / "memory.peak").write_text("8192\n")
    (group / "memory.stat").write_text(
        "anon 1\nfile 2\nkernel 3\nactive_file 4\ninactive_file 5\nslab 6\nslab_reclaimable 7\n"
    )
    monkeypatch.setattr(runtime, "PROC", proc)
    monkeypatch.setattr(runtime, "CGROUPS", tmp_path / "cgroup")
    stats = runtime_stats({})
    assert (stats.cgroup_memory_current_bytes, stats.cgroup_memory_peak_bytes) == (4096, 8192)
    figures = (stats.cgroup_anon_bytes, stats.cgroup_file_bytes, stats.cgroup_kernel_bytes, stats.cgroup_slab_bytes)
    assert figures == (1, 2, 3, 6)
    assert (stats.cgroup_active_file_bytes, stats.cgroup_inactive_file_bytes) == (4, 5)


def test_a_control_group_without_memory_accounting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cgroup").write_text("0::/\n")
    monkeypatch.setattr(runtime, "PROC", tmp_path)
    monkeypatch.setattr(runtime, "CGROUPS", tmp_path / "none")
    assert cgroup_figures() == {}


def test_collections_are_timed_while_asked_for() -> None:
    callbacks = len(gc.callbacks)
    with collections_timed():
        paused, last = COLLECTIONS.paused, COLLECTIONS.last
        gc.collect()
        assert COLLECTIONS.paused > paused and COLLECTIONS.last != last
    assert len(gc.callbacks) == callbacks
    stats = runtime_stats({"tasks": 7})
    assert stats.gc_pause_total_ns == COLLECTIONS.paused and stats.last_gc == COLLECTIONS.last
    assert stats.num_gc > 0 and stats.tasks == stats.num_goroutine == 7
