"""How long a customer waits for an address: from link-up until a host beyond the gateway answers a ping, with each
client in turn against the same server. Every run is a new customer: new interface, new MAC, no files of earlier runs.

routerd and dhcpcd run before the link comes up, and the kernel's word of the carrier starts the watch. dhclient and
udhcpc cannot wait for a carrier: they are started on a link that is up, and exec starts the watch.

The whole is what a customer feels, and what the goals are about. Most of it is waited at random. Before their first
packet routerd lets 0 to 1 s pass (V4-1; the last figure is what that costs), dhcpcd up to 2 s, the others nothing. ARP
probes take 4 to 7 s by RFC 5227 (ARP-1); dhcpcd leaves out the first wait, PROBE_WAIT, and so takes 4 to 6 s.

So there is also what follows the first packet: the work of client and server, and the probes. In that time routerd puts
its lease file and its event log on disk, before the address is used: a crash or a power cut leaves no address behind
that nobody knows of. The peers wait for no disk.

Figures are medians. Beside a ratio stands what it may be by chance: nine of ten resamplings of the runs lie within.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from statistics import mean, median, quantiles

import attrs

from benchmarks.eye import PATIENCE, Times
from benchmarks.line import acquire, provider
from benchmarks.programs import Program, dhclient, dhcpcd, routerd, udhcpc
from benchmarks.report import NotRun, Row, missing, no_more, progress, versus
from tests.lab.netns import obstacle_to_namespaces

SERVERS = ("kea", "dnsmasq")
PROGRAMS = (routerd("parallel"), routerd("skip"), dhcpcd("noarp"), dhclient(), udhcpc(), routerd("probe"), dhcpcd())
ROUNDS = {False: 11, True: 7}
"""By whether the program probes first: RFC 5227 takes its time."""
RESAMPLINGS = 1000

Figure = Callable[[Times], float]


@attrs.define
class Record:
    """All runs of a program against a server: their times, how many came to nothing, and why there are no more."""

    program: Program
    times: list[Times] = attrs.field(factory=list)
    lost: int = 0
    broken: str = ""

    def values(self, figure: Figure) -> list[float]:
        """Milliseconds."""
        return [figure(times) for times in self.times]

    def median(self, figure: Figure) -> float:
        """Milliseconds."""
        return median(self.values(figure))

    def take_turn(self, run: Callable[[Program], Times | None]) -> None:
        """One more run. A program that does not even come to wait for its carrier is not tried again."""
        try:
            times = run(self.program)
        except TimeoutError as error:
            self.broken = str(error)
        else:
            self.lost += times is None
            self.times += [] if times is None else [times]


def run() -> list[Row]:
    """The figures, by server, by whether ARP probes come before the address."""
    if (obstacle := obstacle_to_namespaces()) is not None:
        raise NotRun(obstacle)
    rows = [missing(program.name, program.missing) for program in PROGRAMS if program.missing]
    waits: list[float] = []
    for server in SERVERS:
        records = [Record(program) for program in PROGRAMS if not program.missing]
        try:
            _measure(server, records)
        except NotRun as reason:
            rows.append(missing(server, str(reason)))
            continue
        for probes in (False, True):
            group = [record for record in records if record.program.probes is probes]
            rows += _rows(f"{server}, {'with' if probes else 'no'} ARP probes", group)
        waits += [times.waited for record in records if record.program.ours for times in record.times]
    return [*rows, *_start_delay(waits)]


def _measure(server: str, records: Sequence[Record]) -> None:
    """Round by round, so that what else the machine does falls on all programs alike."""
    with provider(server) as isp:
        for turn in range(max(ROUNDS.values())):
            for record in records:
                if turn < ROUNDS[record.program.probes] and not record.broken:
                    progress(f"acquire: {server}, round {turn + 1}, {record.program.name}")
                    record.take_turn(lambda program: acquire(isp, program).times())


def _rows(title: str, group: Sequence[Record]) -> list[Row]:
    """The whole of each program, then what follows the first packet of each."""
    rows = [missing(f"{title}: {r.program.name}", r.broken or "no address in any run") for r in group if not r.times]
    group = [record for record in group if record.times]
    for record in group:
        row = _row(f"whole, {title}", record, group, lambda times: times.whole)
        rows.append(row | no_more(row["ratio"]) if "ratio" in row else row)
    return rows + [_row(f"after 1st packet, {title}", r, group, lambda times: times.usable) for r in group]


def _row(title: str, record: Record, group: Sequence[Record], figure: Figure) -> Row:
    """Ours are held against the fastest peer of the group."""
    values = sorted(record.values(figure))
    said = [
        f"from {'link-up' if record.program.waiting else 'exec'}",
        f"first packet after {record.median(lambda times: times.waited):.0f} ms",
        f"address {record.median(lambda times: times.address):.1f} ms later",
        f"fastest {values[0]:.1f}, slowest {values[-1]:.1f}, {len(values)} runs",
    ]
    if record.lost or record.broken:
        said.append(record.broken or f"{record.lost} more had no address within {PATIENCE:.0f} s")
    row: Row = {"name": f"{title}: {record.program.name}", "value": median(values), "unit": "ms"}
    peers = [peer for peer in group if not peer.program.ours]
    if record.program.ours and peers:
        peer = min(peers, key=lambda peer: peer.median(figure))
        row |= versus(peer.program.name, row["value"] / peer.median(figure))
        low, high = _by_chance(values, peer.values(figure))
        said.append(f"ratio within {low:.2f} to {high:.2f}")
    return row | {"detail": ", ".join(said)}


def _by_chance(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Between what the ratio of the medians lies in nine of ten resamplings."""
    rng = random.Random(1)

    def again(values: Sequence[float]) -> float:
        return median(rng.choices(values, k=len(values)))

    cuts = quantiles((again(ours) / again(theirs) for _ in range(RESAMPLINGS)), n=20)
    return cuts[0], cuts[-1]


def _start_delay(waits: Sequence[float]) -> list[Row]:
    """What V4-1 costs."""
    if len(waits) < 4:
        return []
    quartiles = ", ".join(f"{cut:.0f}" for cut in quantiles(waits, n=4))
    detail = f"least {min(waits):.0f}, quartiles {quartiles}, most {max(waits):.0f}; {len(waits)} runs"
    return [{"name": "routerd, link-up to 1st packet, mean", "value": mean(waits), "unit": "ms", "detail": detail}]
