"""Fixtures: a bench with its API served on real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from routerd.api.serve import serve_api, serve_daemon
from tests.api.router import Bench, Puppet, open_bench


@attrs.frozen
class Served:
    """What is served, and where. `wan` is the daemon behind the socket `daemon`."""

    bench: Bench
    wan: Puppet
    main: str
    status: str
    daemon: str
    life: trio.CancelScope
    """Of all the sockets."""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path) as bench:
        yield bench


@asynccontextmanager
async def serving(bench: Bench, directory: Path, **groups: str) -> AsyncIterator[Served]:
    """The API of a bench, with its sockets in `directory`."""
    groups = groups or {"group": "no-such-group"}
    main, status, daemon = (str(directory / name) for name in ("routerd.sock", "status.sock", "wan.sock"))
    wan = bench.daemons["dhcpv4-client/wan"]
    assert isinstance(wan, Puppet)
    life = trio.CancelScope()

    async def run(*, task_status: trio.TaskStatus[None]) -> None:
        with life:
            async with trio.open_nursery() as inner:
                await inner.start(partial(serve_api, bench, main_path=main, status_path=status, **groups))
                await inner.start(partial(serve_daemon, bench, wan, daemon, **groups))
                task_status.started()

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        yield Served(bench, wan, main, status, daemon, life)
        life.cancel()


@pytest.fixture
async def served(bench: Bench, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(bench, tmp_path) as served:
        yield served
