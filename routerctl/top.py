"""`routerctl top`: controllers, daemons, resources and rates on one screen that is drawn anew each second."""

from __future__ import annotations

import os
import sys
import time
from functools import partial

from routerctl.client import entries, number, part
from routerctl.errors import Exit, Failure
from routerctl.health import readiness
from routerctl.resources import listed, phase_of, reference_of, summary
from routerctl.table import Table
from routerctl.times import ago, parse_count, parse_duration
from routerctl.words import cell, clean, role

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator, Sequence

    from routerctl.client import Client, Object
    from routerctl.health import Health
    from routerctl.output import Out

EXAMPLES = {
    "top": """
  routerctl top               until Ctrl-C
  routerctl top -n 1          one frame, as it is off a terminal
  routerctl top -d 5s
"""
}
INTERVAL = "1s"
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
"""The terminal's other screen without a cursor, and back."""
HOME, END_OF_LINE, END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


def arguments(verb: str, parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("-n", "--count", metavar="N", type=parse_count, help="so many frames; off a terminal 1")
    parser.add_argument("-d", "--delay", metavar="DURATION", default=INTERVAL, help=f"between frames ({INTERVAL})")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Frame by frame, until enough of them or Ctrl-C, which is how one leaves it."""
    delay = max(0.1, parse_duration(args.delay))
    count = args.count if args.count is not None else None if out.tty else 1
    frames = _frames(client, count, delay)
    if out.form != "table":
        for frame in frames:
            out.one(frame.whole, "Top/routerd")
            out.flush()
    elif out.tty and out.glyphs and count != 1:
        _on_screen(out, frames)
    else:
        for frame in frames:
            frame.show(out)
            out.flush()
    return Exit.OK


class Frame:
    """What is known at one moment. `rates`: per second, by what is counted, since the frame before; `away`: why there
    is nothing newer."""

    def __init__(self, client: Client) -> None:
        self.status = part(client.get("/status"), "status")
        self.resources = listed(client, "resources")
        self.runtime = client.get("/runtime")
        self.health: Health = readiness(client)
        self.newest = number(client.get("/events", [("tail", "1")]), "newest")
        self.at = time.time()
        self.rates: dict[str, float] = {}
        self.away = ""

    @property
    def counters(self) -> dict[str, int]:
        """What only grows."""
        controllers = entries(self.status, "controllers")
        runs = {f"controller {one.get('name')}": number(one, "reconcileCount") for one in controllers}
        return {"events": self.newest, "runs": sum(runs.values()), **runs}

    @property
    def whole(self) -> Object:
        """All of it, for programs."""
        rates = {name: round(rate, 3) for name, rate in self.rates.items()}
        told = {"status": self.status, "resources": self.resources, "runtime": self.runtime, "rates": rates}
        return {**told, "checks": self.health.checks, "newestEvent": self.newest}

    def after(self, before: Frame) -> Frame:
        """With the rates since then."""
        passed, was = max(0.001, self.at - before.at), before.counters
        self.rates = {name: max(0, now - was.get(name, now)) / passed for name, now in self.counters.items()}
        return self

    def show(self, out: Out) -> None:
        """The screen."""
        _head(out, self)
        _controllers(out, self)
        _daemons(out, self)
        _resources(out, self)


def _frames(client: Client, count: int | None, delay: float) -> Iterator[Frame]:
    """So many, or without end. Once there was one, a routerd that is away ends nothing. Raises Failure."""
    frame = None
    shown = 0
    while count is None or shown < count:
        if shown:
            time.sleep(delay)
        try:
            newer = Frame(client)
            frame = newer.after(frame) if frame is not None else newer
        except Failure as failure:
            if frame is None or failure.code is not Exit.UNREACHABLE:
                raise
            frame.away = failure.message
        yield frame
        shown += 1


def _on_screen(out: Out, frames: Iterator[Frame]) -> None:
    """On the terminal's other screen; whatever happens, the first one comes back."""
    sys.stdout.write(ENTER)
    try:
        for frame in frames:
            lines = out.drawn(partial(frame.show, out))[: _height()]
            sys.stdout.write(HOME + f"{END_OF_LINE}\r\n".join(lines) + END_OF_LINE + END_OF_SCREEN)
            sys.stdout.flush()
    except KeyboardInterrupt:
        pass
    finally:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()


def _height() -> int:
    """Lines of the terminal; 24 where it does not know."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).lines or 24
    except OSError:
        return 24


def _head(out: Out, frame: Frame) -> None:
    status, runtime = frame.status, frame.runtime
    phase = cell(status.get("phase") or "Unknown")
    told = f"{out.glyph('● ', '')}{phase}"
    figures = f"generation {cell(status.get('generation'))}, {len(frame.resources)} resources"
    out.line(f"{out.paint(role(phase), told)}   {figures}   {time.strftime('%H:%M:%SZ', time.gmtime(frame.at))}")
    lag = runtime.get("loopLagMillis")
    megabytes = number(runtime, "heapInuseBytes") / (1 << 20)
    rates = f"events {_rate(frame, 'events')}  runs {_rate(frame, 'runs')}"
    out.line(
        f"{rates}   loop lag {cell(lag)} ms  tasks {cell(runtime.get('tasks'))}  memory {megabytes:.0f} MiB"
        f"  descriptors {cell(runtime.get('openFds'))}"
    )
    if frame.away:
        out.line(out.paint("bad", f"routerd is away: {clean(frame.away)}"))


def _rate(frame: Frame, name: str) -> str:
    """`12.5/s`; `-` in the first frame."""
    return f"{frame.rates[name]:.1f}/s" if name in frame.rates else "-"


def _controllers(out: Out, frame: Frame) -> None:
    rows = [
        (
            one.get("name"),
            "Failing" if one.get("currentError") is True else "Running",
            number(one, "reconcileCount"),
            _rate(frame, f"controller {one.get('name')}"),
            ago(one.get("lastReconcileTime"), frame.at),
            one.get("lastDuration"),
            number(one, "reconcileErrorCount"),
        )
        for one in entries(frame.status, "controllers")
    ]
    _section(out, ("CONTROLLER", "PHASE", "RUNS", "RATE", "LAST", "TOOK", "ERRORS"), rows)


def _daemons(out: Out, frame: Frame) -> None:
    rows = []
    for check in frame.health.checks:
        word, _, name = str(check.get("name")).partition(" ")
        if word == "daemon":
            rows.append((name, "Running" if check.get("status") == "pass" else "Failed", check.get("detail")))
    _section(out, ("DAEMON", "PHASE", "DETAIL"), rows)


def _resources(out: Out, frame: Frame) -> None:
    """Those that are not as they should be come first: the screen may be short."""
    ordered = sorted(frame.resources, key=lambda one: role(phase_of(one)) == "good")
    _section(out, ("RESOURCE", "STATUS"), [(reference_of(one), summary(one)) for one in ordered])


def _section(out: Out, header: tuple[str, ...], rows: Sequence[Sequence[object]]) -> None:
    if rows:
        out.line()
        Table(out, *header, painted="PHASE" if "PHASE" in header else "STATUS").rows(rows)
