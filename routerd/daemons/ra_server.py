"""What the managed daemon of an IPv6RouterAdvertisement is for: it tells a LAN what it is given to tell.

What hosts were told is on disk before they are (`memory.json`), so that after a crash or a reboot a prefix that is ours
no more is taken back at once (RFC 9096 §3.5). A restart is silent; that this router is none any more is told when the
resource is removed from the configuration, or stopped by command.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio

from routerd.daemons import disk, lease_file
from routerd.daemons.disk import BUILD_DATE, Disk
from routerd.daemons.ndp_link import WORDS
from routerd.daemons.ndp_part import Around
from routerd.daemons.ra_server_report import ServerSpec, base_of, binds, details_of, prefixes_of, told_before
from routerd.daemons.teller import Teller
from routerd.events.status import condition
from routerd.events.types import Event, Status
from routerd.events.writer import Runner
from routerd.host import Clock
from routerd.protocols.malformed import Malformed
from routerd.protocols.ndp import memory
from routerd.protocols.ndp.advertiser import Advertiser, Advertising, Announce, Remember, Silent
from routerd.protocols.ndp.announcement import Announcement
from routerd.protocols.ndp.others import OtherRouter
from routerd.protocols.ndp.told import Told

Kept = memory.AdvertiserRecord | Malformed | None
"""What is in the file; None: there is none."""


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
        self._disk = Disk(run_sync)
        self._announcement: Announcement | None = None
        self._begin(None)

    def _begin(self, remembered: Told | None) -> None:
        interval = min(max(self._spec.resource.max_interval, 4.0), 1800.0)
        self._machine = Advertiser(self._rng, max_interval=interval, remembered=remembered)
        self._hosts_know = remembered or Told()
        self._applied = ""
        self._error = ""

    def announce(self, announcement: Announcement, put: Callable[[Any], None]) -> None:
        """Tell this from now on."""
        if announcement != self._announcement:
            self._announcement = announcement
            put(Announce(announcement))

    async def open(self, tell: Teller, around: Around, stored: Status) -> tuple[Advertiser, Sequence[Event]]:
        """See Part. Nothing on the disk is so bad that nothing would be told."""
        self._tell = tell
        kept = await disk.read(self._path, memory.load, self._run_sync)
        told, trouble = self._recalled(kept, stored, around.now)
        self._begin(told if told != Told() or binds(stored) else None)
        if not trouble:
            return self._machine, ()
        words = f"{self._path} is not used: {trouble}; what hosts were told before is known as far as others know it"
        return self._machine, [tell("memory.unreadable", "MemoryUnusable", words, "warning", cause=trouble)]

    def _recalled(self, kept: Kept, stored: Status, now: float) -> tuple[Told, str]:
        """What the life before had told hosts, and what is wrong with the file that should say that. Of another LAN it
        is of no use here. When there is no file, the status may tell."""
        if isinstance(kept, memory.AdvertiserRecord):
            if kept.ifname != self._spec.ifname:
                return Told(), ""
            clock, wall = self._clock, self._clock.wall() / 1e9
            return memory.revive(kept, boot_id=clock.boot_id, now=now, wall=wall, build_date=BUILD_DATE), ""
        told = told_before(stored, now) if stored.get("ifname") == self._spec.ifname else Told()
        if isinstance(kept, Malformed):
            return told, kept.reason
        return told, "absent" if told != Told() else ""

    def first(self) -> Sequence[Any]:
        """See Part: what an earlier run of this life was given to tell."""
        return () if self._announcement is None else (Announce(self._announcement),)

    async def keep(self, output: Any) -> Sequence[Event]:
        """See Part. A disk that does not take it is told of once, and hosts are told what is true all the same."""
        await trio.lowlevel.checkpoint()
        if not isinstance(output, Remember):
            return ()
        before, self._hosts_know = self._hosts_know, output.told
        events = list(self._taken_back(before))
        trouble = await self._save(output.told)
        if trouble and trouble != self._error:
            words = f"what hosts are told could not be kept for the next start: {trouble}"
            events.append(self._tell("memory.unsaved", "MemoryNotSaved", words, "error"))
        self._error = trouble
        return events

    def _taken_back(self, before: Told) -> Iterator[Event]:
        for prefix, until in self._hosts_know.prefixes.items():
            if until is not None and before.prefixes.get(prefix) is None:
                left = max(round(until - self._clock.now()), 0)
                words = f"{prefix} is taken back: hosts begin nothing with it any more, and forget it within {left} s"
                yield self._tell("prefix.deprecated", "PrefixDeprecated", words, "warning", prefix=prefix)

    async def _save(self, told: Told) -> str:
        """What is in the way of it."""
        clock = self._clock
        record = memory.AdvertiserRecord(told, self._spec.ifname, clock.boot_id, clock.now(), clock.wall() / 1e9)
        return await self._disk.attempt(partial(lease_file.save, self._path, memory.dump(record)))

    @property
    def quiet(self) -> bool:
        """See Part."""
        return isinstance(self._machine.state, Silent)

    # Speaking

    def said(self, outputs: Sequence[Any], around: Around) -> Sequence[Event]:
        """See Part."""
        events = [self._other(one) for one in outputs if isinstance(one, OtherRouter)]
        if isinstance(self._machine.state, Advertising):
            event = self._told()
            events += [event] if event.message != self._applied else []
            self._applied = event.message
        return events

    def _told(self) -> Event:
        assert self._announcement is not None, "nothing is advertised before there is something to say"
        told = self._announcement
        prefixes = ", ".join(str(one.prefix) for one in told.prefixes) or "no prefix"
        router = f"a default router for {told.lifetime} s" if told.lifetime else "no default router"
        words = f"{self._spec.ifname} is told: {prefixes}; this is {router}"
        named = [str(one) for servers in told.name_servers for one in servers.addresses]
        words += f"; names are asked of {', '.join(named)}" if named else ""
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
        return {
            **base_of(self._spec, around.generation, phase, reason, self._error or message),
            "prefixes": prefixes_of(told, self._hosts_know),
            **({} if told is None else details_of(told)),
            "conditions": [condition("Applied", phase == "Applied", reason, around.generation)],
        }

    def _phase(self, around: Around) -> tuple[str, str, str]:
        obstacle = around.facts.obstacle
        if around.stopped:
            return "Pending", "Stopped", "stopped by command"
        if self._announcement is None:
            return "Pending", "Starting", "it is not known yet what is to be told"
        if obstacle:
            return "Pending", obstacle, WORDS[obstacle].format(self._spec.ifname)
        if isinstance(self._machine.state, Advertising):
            return "Applied", "Applied", ""
        return "Pending", "NotYet", "there is nothing yet that hosts could go by"
