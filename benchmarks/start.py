"""What routerd costs before it does anything: how soon after exec its API answers, on Linux with one interface and one
DHCPv4 client, and on a simulated host; then, with a lease and left alone, its memory and its share of one processor.
dhcpcd holds a lease of the same server beside it, in the same seconds.

The same with IPv6: a line on which it acquires a prefix and listens to routers, and two LANs, each with a subnet of the
prefix that it advertises there. While it is left alone it advertises three times on each, as at each beginning.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median

import attrs

from benchmarks.eye import PATIENCE, punctual, watching
from benchmarks.eye6 import watching6
from benchmarks.line import BEYOND, SWITCH, await_word, customer, pids, plug_in, provider, staged, switch
from benchmarks.line6 import household, provider6
from benchmarks.programs import Program, dhcpcd, routerd
from benchmarks.programs6 import GUESTS, LAN, SECOND_LAN, routerd6
from benchmarks.report import NotRun, Row, missing, progress, versus, within
from tests.lab.netns import Namespace, obstacle_to_namespaces, wire
from tests.lab.router import PREFIX, Connection
from tests.lab.servers6 import Terms6

RUNS = 11
START_GOAL = 0.7
SETTLED = 10.0
"""Seconds left alone until memory is looked at."""
WINDOW = 20.0
"""Seconds over which processor time is counted."""
IDLE_GOAL = 1.0
ROUTER, PEER = routerd("parallel"), dhcpcd()
ROUTER6, TERMS6 = routerd6(rapid=False, more=SECOND_LAN), Terms6()
PYTHON = "python -c pass"

Start = Callable[[Path], float]
"""Starts something in a directory of its own; how many seconds that took."""


def run() -> list[Row]:
    """The figures that can be had here: without root, those of a simulated host."""
    anywhere: dict[str, Start] = {PYTHON: _python, "simulated host": _simulated}
    if (obstacle := obstacle_to_namespaces()) is not None:
        return [*_start_rows(anywhere), missing("on Linux, and idle", obstacle)]
    rows = _start_rows({"Linux": _linux, "Linux, IPv6 and two LANs": _linux6, **anywhere})
    for title, idle in (("idle", _idle_rows), ("idle, IPv6", _idle_rows6)):
        try:
            rows += idle()
        except NotRun as reason:
            rows.append(missing(title, str(reason)))
    return rows


# From exec to the first answer


def _start_rows(starts: Mapping[str, Start]) -> list[Row]:
    taken: dict[str, list[float]] = {name: [] for name in starts}
    for turn in range(RUNS + 1):
        for name, start in starts.items():
            progress(f"start: round {turn}, {name}")
            with tempfile.TemporaryDirectory(prefix="bench-") as directory, punctual():
                seconds = start(Path(directory))
            if turn:  # The first may have to write bytecode.
                taken[name].append(seconds)
    python = median(taken[PYTHON])
    return [_start_row(name, sorted(seconds), python) for name, seconds in taken.items() if name != PYTHON]


def _start_row(name: str, seconds: list[float], python: float) -> Row:
    value = median(seconds)
    return {
        "name": f"exec to the API's first answer, {name}",
        "value": value,
        "unit": "s",
        "detail": f"fastest {seconds[0]:.3f}, slowest {seconds[-1]:.3f}; median of {len(seconds)};"
        f" {PYTHON} in {python:.3f}",
        **versus(PYTHON, value / python),
        **within(value, START_GOAL, "s"),
    }


def _python(directory: Path) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "pass"], cwd=directory, check=True)
    return time.monotonic() - began


def _simulated(directory: Path) -> float:
    command = [*ROUTER.command(directory), "--host", "simulated"]
    began = time.monotonic()
    with (directory / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            return _answered_at(directory) - began
        finally:
            process.kill()


def _linux(directory: Path) -> float:
    """With carrier, and nobody who answers."""
    with switch() as isp, customer(isp) as line:
        plug_in(isp)
        begin = staged(line, ROUTER, directory)
        began = begin()
        return _answered_at(directory) - began


def _linux6(directory: Path) -> float:
    """The same with IPv6."""
    with switch() as isp, household(isp) as home:
        wire(home.router, GUESTS, home.host, "eth1")
        plug_in(isp)
        began = staged(home.router, ROUTER6, directory)()
        return _answered_at(directory) - began


def _answered_at(directory: Path) -> float:
    """When the API has given its first answer. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(OSError):
            connection = Connection(directory / "run" / "routerd-status.sock")
            connection.request("GET", f"{PREFIX}/status")
            if connection.getresponse().status == 200:
                return time.monotonic()
        time.sleep(0.001)  # nothing tells of a socket
    raise TimeoutError((directory / "log").read_text()[-500:])


# Bound, and left alone


@attrs.frozen
class Rest:
    """What a program takes of a machine while nothing happens: MiB, percent of one processor."""

    processes: int
    rss: float
    pss: float
    processor: float


def _idle_rows() -> list[Row]:
    ours, *others = _at_rest([ROUTER, PEER] if not PEER.missing else [ROUTER])
    rows: list[Row] = [
        {"name": "memory in use (RSS)", "value": ours.rss, "unit": "MiB", "detail": ""},
        {"name": "memory, shared pages divided (PSS)", "value": ours.pss, "unit": "MiB", "detail": ""},
        {"name": "processor while idle", "value": ours.processor, "unit": "% of one", "detail": ""},
    ]
    for peer in others:
        of_peer = (peer.rss, peer.pss, peer.processor)
        for row, value in zip(rows, of_peer, strict=True):
            row |= versus(PEER.name, row["value"] / value) if value else {}
            row["detail"] = f"{PEER.name}, {peer.processes} processes: {value:.3g} {row['unit']}"
    rows[-1] |= within(ours.processor, IDLE_GOAL, "%")
    return rows


def _idle_rows6() -> list[Row]:
    """With a prefix on two LANs."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        provider6(TERMS6) as isp,
        household(isp) as home,
        watching6(home.router, LAN, isp, SWITCH, home.host, TERMS6.pool) as eye,
    ):
        wire(home.router, GUESTS, home.host, "eth1")
        plug_in(isp)
        staged(home.router, ROUTER6, Path(name))()
        eye.watch(lambda course: course.address_at and course.advertised_at)
        (rest,) = _left_alone([home.router])
    return [
        {"name": "memory in use (RSS), IPv6", "value": rest.rss, "unit": "MiB", "detail": ""},
        {"name": "processor while idle, IPv6", "value": rest.processor, "unit": "% of one", "detail": ""}
        | within(rest.processor, IDLE_GOAL, "%"),
    ]


def _at_rest(programs: list[Program]) -> list[Rest]:
    """All with a lease of the same server, at the same time."""
    with provider("kea") as isp, ExitStack() as stack:
        lines = [stack.enter_context(_bound(isp, program, f"port{n}")) for n, program in enumerate(programs)]
        return _left_alone(lines)


def _left_alone(lines: list[Namespace]) -> list[Rest]:
    """What runs there, while nothing happens."""
    progress("start: leaving them alone")
    time.sleep(SETTLED)
    memory = [(_memory(line, "Rss"), _memory(line, "Pss")) for line in lines]
    before = [_processor_seconds(line) for line in lines]
    time.sleep(WINDOW)
    after = [_processor_seconds(line) for line in lines]
    return [
        Rest(len(pids(line)), rss, pss, (seconds - seconds_before) / WINDOW * 100)
        for line, (rss, pss), seconds_before, seconds in zip(lines, memory, before, after, strict=True)
    ]


@contextmanager
def _bound(isp: Namespace, program: Program, port: str) -> Iterator[Namespace]:
    """A customer with an address."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, customer(isp, port) as line:
        progress(f"start: {program.name} acquires an address")
        directory = Path(name)
        staged(line, program, directory)()
        await_word(directory / "log", program.waiting)
        with watching(line, isp, SWITCH, BEYOND) as eye:
            plug_in(isp, port)
            eye.watch(lambda course: course.answered_at)
        yield line


def _memory(line: Namespace, key: str) -> float:
    """MiB of all processes (proc(5), smaps_rollup)."""
    rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids(line))
    return sum(int(text.partition(f"\n{key}:")[2].split()[0]) for text in rollups) / 1024


def _processor_seconds(line: Namespace) -> float:
    """Of all processes so far, by their clocks (clock_getcpuclockid(3))."""
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids(line))
