"""How long a LAN waits for a prefix: from the first Solicit on the wire until the router's address out of the delegated
prefix can be used on the LAN, and from the server's Reply until a host there hears of it (the first router
advertisement with it). Each program in turn acquires it of the same kea; every run is a new household.

routerd, dhcpcd and systemd-networkd run before the link comes up, dhcp6c is started on a link that is up. What passes
before the first Solicit is in the detail: RFC 9915 §18.2.1 has a client wait for 0 to 1 s at random. dhcpcd and dhcp6c
leave advertisements to other programs. Duplicate address detection is off, or it would be a second more for each.

In an exchange of four messages the same section has a client collect what servers offer until the first retransmission
would be due, 1 to 1.1 s after its Solicit (a MUST), unless an offer has preference 255. dhcpcd takes the first offer at
once; the others wait. So there are three servers: one that says nothing of its preference, one that says 255, and one
that answers a Solicit for it with the Reply (Rapid Commit, two messages). The first is held against the fastest peer
that collects; beside it stands who does not.

routerd has the lease and the word of it on disk before the prefix is used, and a LAN gets its part of it once the whole
is unreachable by any other way (RFC 7084 WPD-5). The peers wait for no disk.

Figures are medians.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median

import attrs

from benchmarks.eye import PATIENCE
from benchmarks.eye6 import Times6
from benchmarks.line6 import ADVERTISING, delegate, provider6
from benchmarks.programs import Program
from benchmarks.programs6 import dhcp6c, dhcpcd6, networkd, routerd6
from benchmarks.report import NotRun, Row, missing, no_more, progress, versus
from tests.lab.netns import Namespace, obstacle_to_namespaces
from tests.lab.servers6 import Terms6

ROUNDS = 9
PROGRAMS = (routerd6, dhcpcd6, dhcp6c, networkd)
HASTY = ("dhcpcd",)
"""Programs that take the first offer although a better one may come."""


@attrs.frozen
class Manner:
    """How a server gives."""

    title: str
    terms: Terms6
    collected: bool = False
    """Whether a client has to wait for other offers."""


MANNERS = (
    Manner("four messages", Terms6(), collected=True),
    Manner("preference 255", Terms6(preference=255)),
    Manner("rapid commit", Terms6(rapid=True)),
)


@attrs.define
class Record6:
    """All runs of a program: their times, how many came to nothing, and why there are no more."""

    program: Program
    times: list[Times6] = attrs.field(factory=list)
    lost: int = 0
    broken: str = ""

    def take_turn(self, isp: Namespace, terms: Terms6) -> None:
        """One more run. A program that does not even come to wait for its carrier is not tried again."""
        try:
            times = delegate(isp, self.program, terms).times()
        except TimeoutError as error:
            self.broken = " ".join(str(error).split())
        else:
            self.lost += times is None
            self.times += [] if times is None else [times]

    def median(self, figure: Callable[[Times6], float]) -> float:
        """Milliseconds."""
        return median(map(figure, self.times))


def run() -> list[Row]:
    """The figures, by how the server gives."""
    if (obstacle := obstacle_to_namespaces()) is not None:
        raise NotRun(obstacle)
    rows = [missing(program.name, program.missing) for make in PROGRAMS if (program := make(False)).missing]
    for manner in MANNERS:
        programs = [make(manner.terms.rapid) for make in PROGRAMS]
        records = [Record6(program) for program in programs if not program.missing]
        _measure(manner, records)
        rows += rows_of(manner, records)
    return rows


def _measure(manner: Manner, records: Sequence[Record6]) -> None:
    """Round by round, so that what else the machine does falls on all programs alike."""
    with provider6(manner.terms) as isp:
        for turn in range(ROUNDS):
            for record in records:
                if not record.broken:
                    progress(f"delegate: {manner.title}, round {turn + 1}, {record.program.name}")
                    record.take_turn(isp, manner.terms)


def rows_of(manner: Manner, records: Sequence[Record6]) -> Iterator[Row]:
    """What is told of all of them; ours comes first."""
    for record in records:
        if not record.times:
            yield missing(f"{manner.title}: {record.program.name}", record.broken or "no prefix in any run")
    there = [record for record in records if record.times]
    fair = [record for record in there if not manner.collected or record.program.name not in HASTY]
    for record in there:
        row = _row("Solicit to LAN address", manner, record, fair, lambda times: times.address)
        yield row | no_more(row["ratio"]) if "ratio" in row else row
    advertising = [record for record in there if record.program.name in ADVERTISING]
    for record in advertising:
        yield _row("Reply to RA", manner, record, advertising, _heard)


def _heard(times: Times6) -> float:
    """From the Reply until a host was told; one that never was has waited for as long as anybody looked."""
    return PATIENCE * 1e3 if times.advertised is None else times.advertised - times.replied


def _row(
    title: str, manner: Manner, record: Record6, group: Sequence[Record6], figure: Callable[[Times6], float]
) -> Row:
    """Ours is held against the fastest peer of the group."""
    values = sorted(map(figure, record.times))
    said = [
        f"fastest {values[0]:.1f}, slowest {values[-1]:.1f}, {len(values)} runs",
        f"first Solicit {record.median(lambda times: times.waited):.0f} ms after {_beginning(record.program)}",
        f"Reply {record.median(lambda times: times.replied):.1f} ms later",
        f"address {record.median(lambda times: times.address - times.replied):.1f} ms later",
    ]
    if record.lost or record.broken:
        said.append(record.broken or f"{record.lost} more had no prefix within {PATIENCE:.0f} s")
    row: Row = {"name": f"{title}, {manner.title}: {record.program.name}", "value": median(values), "unit": "ms"}
    peers = [peer for peer in group if not peer.program.ours]
    if record.program.ours and peers:
        peer = min(peers, key=lambda peer: peer.median(figure))
        row |= versus(peer.program.name, row["value"] / peer.median(figure))
    return row | {"detail": "; ".join(said)}


def _beginning(program: Program) -> str:
    return "link-up" if program.waiting else "exec"
