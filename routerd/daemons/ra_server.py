"""What the managed daemon of an IPv6RouterAdvertisement is for: it tells a LAN what it is given to tell.

What hosts were told is on disk before they are (`memory.json`), so that after a crash or a reboot a prefix that is ours
no more is taken back at once (RFC 9096 §3.5). A restart is silent; that this router is none any more is told when the
resource is removed from the configuration, or stopped by command.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from ipaddress import IPv6Network
from pathlib import Path
from typing import Any

import attrs
import trio

from routerd.daemons import lease_file
from routerd.daemons.ndp_daemon import Around, Teller
from routerd.daemons.ndp_link import WORDS
from routerd.events.types import Event, Status
from routerd.events.writer import Runner
from routerd.host import Clock
from routerd.protocols.malformed import Malformed
from routerd.protocols.ndp import memory
from routerd.protocols.ndp.advertiser import Advertiser, Advertising, Announce, OtherRouter, Remember, Silent
from routerd.protocols.ndp.announcement import Announcement
from routerd.protocols.ndp.memory import Told
from routerd.resources.net6 import IPv6RouterAdvertisement

BUILD_DATE = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
"""Seconds since 1970 before which no wall clock that runs this code can be right (C4)."""
PATIENCE = 5.0
"""Seconds after which a disk that does not answer counts as broken: the hosts are told all the same."""


@attrs.frozen
class ServerSpec:
    """What a server is started with. What it tells may change under it; another one is needed only for another link, or
    another rhythm."""

    resource: IPv6RouterAdvertisement = attrs.field(eq=lambda spec: (spec.interface, spec.max_interval))
    ifname: str


def starting(spec: ServerSpec, generation: int) -> Status:
    """The status before it is known what is to be told."""
    words = "it is not known yet what is to be told"
    condition = {"type": "Applied", "status": "Unknown", "reason": "Starting", "observedGeneration": generation}
    return {**_base(spec, generation, "Pending", "Starting", words), "conditions": [condition]}


class RAServer:
    """See the module, and `Part`."""

    topic = "routerd.ra"
    directory = "ra-server"
    kind = "routerd-ra-server"
    resource_kind = "IPv6RouterAdvertisement"

    def __init__(
        self, name: str, spec: ServerSpec, state_dir: Path, clock: Clock, run_sync: Runner, rng: random.Random
    ) -> None:
        self._spec = spec
        self._path = state_dir / self.directory / name / "memory.json"
        self._clock = clock
        self._run_sync = run_sync
        self._rng = rng
        self._disk = trio.CapacityLimiter(1)
        self._announcement: Announcement | None = None
        self._begin(())

    def _begin(self, remembered: Told) -> None:
        interval = min(max(self._spec.resource.max_interval, 4.0), 1800.0)
        self._machine = Advertiser(self._rng, max_interval=interval, remembered=remembered)
        self._hosts_know = remembered
        self._applied: Announcement | None = None
        self._error = ""

    def announce(self, announcement: Announcement, put: Callable[[Any], None]) -> None:
        """Tell this from now on."""
        if announcement != self._announcement:
            self._announcement = announcement
            put(Announce(announcement))

    async def open(self, tell: Teller, around: Around) -> tuple[Advertiser, Sequence[Event]]:
        """See Part. Nothing on the disk is so bad that nothing would be told."""
        self._tell = tell
        kept = await self._read()
        clock = self._clock
        told: Told = ()
        if isinstance(kept, memory.AdvertiserRecord):
            wall = clock.wall() / 1e9
            told = memory.revive(kept, boot_id=clock.boot_id, now=clock.now(), wall=wall, build_date=BUILD_DATE)
        self._begin(told)
        if not isinstance(kept, Malformed):
            return self._machine, ()
        words = f"{self._path} is not used: {kept.reason}; a prefix that was told before is not taken back"
        return self._machine, [tell("memory.unreadable", "MemoryUnusable", words, "warning", cause=kept.reason)]

    async def _read(self) -> memory.AdvertiserRecord | Malformed | None:
        await trio.lowlevel.checkpoint()
        try:
            data = await self._run_sync(lease_file.read, self._path)
        except OSError as error:
            return Malformed(error.strerror or str(error))
        return None if data is None else memory.load(data)

    def first(self) -> Sequence[Any]:
        """See Part: what an earlier run of this life was given to tell."""
        return () if self._announcement is None else (Announce(self._announcement),)

    async def keep(self, output: Any) -> Sequence[Event]:
        """See Part. A disk that does not take it is told of once, and hosts are told what is true all the same."""
        await trio.lowlevel.checkpoint()
        if not isinstance(output, Remember):
            return ()
        before, self._hosts_know = dict(self._hosts_know), output.prefixes
        events = list(self._taken_back(before))
        trouble = await self._save(output.prefixes)
        if trouble and trouble != self._error:
            words = f"what hosts are told could not be kept for the next start: {trouble}"
            events.append(self._tell("memory.unsaved", "MemoryNotSaved", words, "error"))
        self._error = trouble
        return events

    def _taken_back(self, before: dict[IPv6Network, float | None]) -> Iterator[Event]:
        for prefix, until in self._hosts_know:
            if until is not None and before.get(prefix) is None:
                left = max(round(until - self._clock.now()), 0)
                words = f"{prefix} is taken back: hosts begin nothing with it any more, and forget it within {left} s"
                yield self._tell("prefix.deprecated", "PrefixDeprecated", words, "warning", prefix=prefix)

    async def _save(self, prefixes: Told) -> str:
        """What is in the way of it."""
        await trio.lowlevel.checkpoint()
        clock = self._clock
        record = memory.AdvertiserRecord(prefixes, clock.boot_id, clock.now(), clock.wall() / 1e9)
        act = partial(lease_file.save, self._path, memory.dump(record))
        silent = f"the disk has not answered for {PATIENCE:.0f} s"
        if self._disk.borrowed_tokens:
            return silent
        try:
            with trio.move_on_after(PATIENCE) as patience:
                await self._run_sync(act, limiter=self._disk, abandon_on_cancel=True)
        except OSError as error:
            return f"{error.strerror or error}: {error.filename}"
        return silent if patience.cancelled_caught else ""

    @property
    def quiet(self) -> bool:
        """See Part."""
        return isinstance(self._machine.state, Silent)

    # Speaking

    def said(self, outputs: Sequence[Any], around: Around) -> Sequence[Event]:
        """See Part."""
        events = [self._other(one) for one in outputs if isinstance(one, OtherRouter)]
        if isinstance(self._machine.state, Advertising) and self._applied != self._announcement:
            self._applied = self._announcement
            events.append(self._told())
        return events

    def _told(self) -> Event:
        assert self._announcement is not None, "nothing is advertised before there is something to say"
        told = self._announcement
        prefixes = ", ".join(str(one.prefix) for one in told.prefixes) or "no prefix"
        router = f"a default router for {told.lifetime} s" if told.lifetime else "no default router"
        words = f"{self._spec.ifname} is told: {prefixes}; this is {router}"
        facts: dict[str, Any] = {"prefixes": prefixes if told.prefixes else "", "routerLifetime": told.lifetime}
        return self._tell("applied", "Applied", words, **facts)

    def _other(self, other: OtherRouter) -> Event:
        lifetime = other.advertisement.lifetime
        words = (
            f"{other.source} says to be a router of this LAN, too" if lifetime else f"{other.source} advertises here"
        )
        differing = ",".join(other.inconsistent)
        words += f", and differs in {differing}" if differing else ""
        severity: Any = "warning" if lifetime else "info"
        facts: dict[str, Any] = {"router": other.source, "routerLifetime": lifetime, "inconsistent": differing or None}
        return self._tell("other_router", "OtherRouter", words, severity, **facts)

    def status(self, around: Around) -> Status | None:
        """See Part."""
        phase, reason, message = self._phase(around)
        told = self._announcement
        holds = phase == "Applied"
        condition = {"type": "Applied", "status": str(holds), "reason": reason}
        return {
            **_base(self._spec, around.generation, phase, reason, self._error or message),
            **({} if told is None else self._details(told)),
            "conditions": [{**condition, "observedGeneration": around.generation}],
        }

    def _phase(self, around: Around) -> tuple[str, str, str]:
        obstacle = around.facts.obstacle
        if around.stopped:
            return "Pending", "Stopped", "stopped by command"
        if self._announcement is None:
            return "Pending", "Starting", "it is not known yet what is to be told"
        if obstacle:
            return "Pending", obstacle, WORDS[obstacle].format(self._spec.ifname)
        return ("Applied", "Applied", "") if isinstance(self._machine.state, Advertising) else ("Pending", "NotYet", "")

    def _details(self, told: Announcement) -> dict[str, Any]:
        current = {one.prefix: one for one in told.prefixes}
        prefixes = [
            {
                "prefix": str(one.prefix),
                "withdrawn": False,
                **({} if one.preferred_until is None else {"preferredUntilMonotonic": one.preferred_until}),
                **({} if one.valid_until is None else {"validUntilMonotonic": one.valid_until}),
            }
            for one in current.values()
        ]
        prefixes += [
            {"prefix": str(prefix), "withdrawn": True, "validUntilMonotonic": until}
            for prefix, until in self._hosts_know
            if until is not None and prefix not in current
        ]
        return {
            **({"prefix": str(told.prefixes[0].prefix)} if told.prefixes else {}),
            "prefixes": prefixes,
            "routerLifetime": told.lifetime,
            "rdnss": [str(one) for servers in told.name_servers for one in servers.addresses],
            "dnssl": [name for domains in told.search_domains for name in domains.names],
            **({} if told.mtu is None else {"mtu": told.mtu}),
        }


def _base(spec: ServerSpec, generation: int, phase: str, reason: str, message: str) -> dict[str, Any]:
    return {
        "interface": spec.resource.interface,
        "ifname": spec.ifname,
        "dryRun": False,
        "phase": phase,
        "reason": reason,
        **({"message": message} if message else {}),
        "observedGeneration": generation,
    }
