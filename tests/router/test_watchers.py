"""A thousand watchers that hear nothing, and a hundred requests a second: descriptors, memory and work stay as they
are. WATCH_SECONDS is how long (a minute; ten of them are 600)."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import trio

from tests.router.process import Process
from tests.router.watcher import PREFIX

SECONDS = float(os.environ.get("WATCH_SECONDS", "60"))
WATCHERS, RATE = 1000, 100
WATCH = (
    f"GET {PREFIX}/events?tail=0&topic=no.such.topic HTTP/1.1\r\nHost: r\r\nAccept: text/event-stream\r\n\r\n".encode()
)
ASK = f"GET {PREFIX}/status HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\n".encode()
MIB = 2**20


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """Of this process, too, there are enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4 * WATCHERS:
        pytest.skip("this user may not have so many descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4 * WATCHERS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@attrs.define
class Sample:
    """What the process costs at one moment, and in the time before it (seconds): how long an answer took, which on a
    busy machine says more of the others, and how much of the processor it took."""

    descriptors: int
    memory: int
    median: float
    work: float


def worked(routerd: Process) -> float:
    """Seconds of processor time so far (proc_pid_stat(5))."""
    fields = Path(f"/proc/{routerd.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@attrs.define
class Crowd:
    path: str
    ended: int = 0
    heard: int = 0
    latencies: list[float] = attrs.field(factory=list)
    failures: list[str] = attrs.field(factory=list)

    async def watch(self, *, task_status: trio.TaskStatus[None]) -> None:
        """One watcher: everything that comes is a comment."""
        async with await trio.open_unix_socket(self.path) as stream:
            await stream.send_all(WATCH)
            first = await stream.receive_some(65536)
            assert first.startswith(b"HTTP/1.1 200 "), first
            task_status.started()
            while piece := await stream.receive_some(65536):
                assert b"data:" not in piece
                self.heard += 1
            self.ended += 1

    async def dial(self) -> trio.SocketStream:
        """A connection on which the question is asked. While the backlog is full a connect that cannot wait fails."""
        while True:
            stream = await trio.open_unix_socket(self.path)
            try:
                await stream.send_all(ASK)
            except trio.BrokenResourceError:
                await stream.aclose()
                await trio.sleep(0.01)
            else:
                return stream

    async def ask(self) -> None:
        began = time.perf_counter()
        answer = b""
        async with await self.dial() as stream:
            while piece := await stream.receive_some(65536):
                answer += piece
        self.latencies.append(time.perf_counter() - began)
        if not answer.startswith(b"HTTP/1.1 200 "):
            self.failures.append(answer[:60].decode())

    async def ask_steadily(self, nursery: trio.Nursery) -> None:
        began, number = trio.current_time(), 0
        while True:
            nursery.start_soon(self.ask)
            number += 1
            await trio.sleep_until(began + number / RATE)


@pytest.mark.slow
async def test_a_thousand_watchers_and_a_hundred_requests_a_second(up: Process) -> None:
    empty = up.descriptors()
    crowd = Crowd(str(up.run_dir / "routerd-status.sock"))
    samples: list[Sample] = []
    async with trio.open_nursery() as nursery:
        for _ in range(WATCHERS):
            await nursery.start(crowd.watch)
        nursery.start_soon(crowd.ask_steadily, nursery)
        await trio.sleep(5)
        for _ in range(6):
            crowd.latencies.clear()
            before = worked(up)
            await trio.sleep(SECONDS / 6)
            asked, work = len(crowd.latencies), worked(up) - before
            median = statistics.median(crowd.latencies)
            samples.append(Sample(up.descriptors(), up.memory(), median, work / asked))
        nursery.cancel_scope.cancel()
    for sample in samples:
        print(f"{sample.descriptors} descriptors, {sample.memory / MIB:.1f} MiB, ", end="")
        print(f"median {sample.median * 1000:.1f} ms, {sample.work * 1000:.2f} ms of processor time")
    assert not crowd.failures and not crowd.ended and crowd.heard
    first, last = samples[0], samples[-1]
    assert abs(last.descriptors - first.descriptors) < 20, "those are requests under way"
    assert last.memory < first.memory + 4 * MIB
    assert last.work < 2 * first.work
    up.until(lambda: up.descriptors() <= empty + 1)
    up.assert_undisturbed()
