"""The life that the two managed daemons of Neighbor Discovery have in common: a machine on an interface, a scribe for
what it says, the commands it takes. What each of them is for is its `Part`.

It changes nothing on the host: controllers do that, from the status.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import trio

from routerd.api.plane import CommandEnd, DaemonPhase, Health, Packets
from routerd.daemons.commands import Commands
from routerd.daemons.given import Given
from routerd.daemons.lifetime import FAREWELL, GOODBYE, Lifetime
from routerd.daemons.ndp_inbox import Inbox
from routerd.daemons.ndp_link import NdpLink
from routerd.daemons.ndp_orders import Orders
from routerd.daemons.ndp_part import Around, Part
from routerd.daemons.scribe import Entry, Said, Scribe
from routerd.daemons.teller import Teller
from routerd.events import incidents
from routerd.events.types import Event, Ref, Source, Status
from routerd.host import Notice
from routerd.nurseries.driver import drive
from routerd.protocols.machine import Dropped, Machine, Stop
from routerd.protocols.ndp.message import NdpPacket

API_VERSION = "net.routerd.net/v1alpha1"


class NdpDaemon:
    """See the module; the public face is `routerd.api.plane.Daemon`."""

    api_version = API_VERSION

    def __init__(
        self,
        name: str,
        ifname: str,
        part: Part,
        given: Given,
    ) -> None:
        self.part = part
        self.directory = part.directory
        self.resource_kind = part.resource_kind
        self.source = Source(f"{part.kind}-{name}", part.kind, name)
        self.resource = Ref(part.resource_kind, name, API_VERSION)
        self._ifname = ifname
        self._host = given.host
        self._endpoints = given.endpoints
        self._log = given.log
        self._incidents = given.incidents
        self._began = given.began
        self._generation = given.generation
        self._reload = given.reload
        self._run_sync = given.run_sync
        self._tell = Teller(part.topic, self.resource, self.source)
        self._commands = Commands(given.log, self.resource, self.source)
        self._phase: DaemonPhase = "Starting"
        self._since = given.host.clock.wall()
        self._inbox = Inbox(given.host.clock.now)
        self._sent = 0
        self._for_good = False
        self._error = ""
        self._begin()

    def _begin(self) -> None:
        """Everything that one run owns and the next must not inherit."""
        self._inbox.begin()
        self._scribe = Scribe(self._log, self.resource, self._run_sync)
        self._lifetime = Lifetime(self._scribe)
        self._link = NdpLink(self._ifname, self._endpoints, self.put, self._deliver, self._inbox.drop)
        self._machine: Machine[Any, Any] | None = None
        self._working: trio.Nursery | None = None
        self._orders = Orders(self._commands, self.put, self._scribe.say, self._reload)
        self._status: Status | None = None
        self._given = 0

    # The face

    @property
    def phase(self) -> DaemonPhase:
        """See Daemon."""
        return self._phase

    @property
    def since(self) -> int:
        """See Daemon."""
        return self._since

    @property
    def health(self) -> Health:
        """ok when the resource is as it shall be; degraded while it is not; failed while crashing."""
        if self._phase != "Running":
            return "failed" if self._phase == "Blocked" else "unknown"
        return "ok" if (self._status or {}).get("phase") in ("Bound", "Applied") else "degraded"

    @property
    def unhealthy_reason(self) -> str | None:
        """See Daemon."""
        return None if self._phase == "Running" else f"{self._phase}: {self._error or 'not yet running'}"

    @property
    def detail(self) -> str:
        """See Daemon."""
        return "stopped by command" if self._orders.stopped else self.unhealthy_reason or self._phase

    @property
    def observed(self) -> Mapping[str, str]:
        """See Daemon. What is deeper than a list of words is in the status alone."""
        dropped = dict(sorted(self._inbox.dropped.items()))
        plain = {key: value for key, value in self._stored.items() if isinstance(value, str | int) or _words(value)}
        told = plain | ({"dropped": dropped} if dropped else {})
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in told.items()}

    @property
    def _stored(self) -> Status:
        stored = self._log.objects.get(self.resource)
        return stored.status if stored is not None else {}

    @property
    def packets(self) -> Packets:
        """See Daemon."""
        return Packets(self._sent, self._inbox.received, dict(self._inbox.dropped))

    async def crashed(self, error: str, cause: int) -> None:
        """The supervisor's word: phase Error until it runs again; what is installed stays (X-4)."""
        self._become("Blocked")
        self._error = error
        await self._commands.abandon(f"the daemon crashed: {error}")
        if self._stored:
            bare = {key: value for key, value in self._stored.items() if key != "state"}
            status = {**bare, "phase": "Error", "reason": "CrashLoop", "message": error}
            await self._log.append(status={self.resource: status}, because={self.resource: (cause,)})

    # The life

    async def run(self) -> None:
        """Run until cancelled; then say goodbye. Raises what is our own fault, for the supervisor."""
        self._begin()
        self._become("Starting")
        try:
            await self._lifetime.run(self._live, self._end)
        finally:
            self._become("Stopped" if self._phase == "Draining" else "Blocked")

    def leave_for_good(self) -> None:
        """The resource was removed from the configuration: the end, which follows, is more than a restart."""
        self._for_good = True

    def hasten(self) -> None:
        """The whole router ends: there is no time for more than a goodbye."""
        self._lifetime.hasten()

    def _end(self) -> float:
        self._become("Draining")
        self._inbox.put(Stop(release=self._for_good))
        if self._machine is None or not self._for_good:
            self._inbox.close()
        return FAREWELL if self._for_good else GOODBYE

    async def _live(self) -> None:
        """From the first word to the last."""
        await self._work()
        await self._commands.abandon("the daemon ended before the command did")
        self._say([self._lifecycle("stopped", "the daemon ends; what is installed stays")])

    async def _work(self) -> None:
        async with self._host.watch() as notices, trio.open_nursery() as self._working:
            first = await notices.receive()
            await self._link.follow(first, self._working)
            self._machine, recalled = await self.part.open(self._tell, self._around(), self._stored)
            self._error = ""
            self._say([self._lifecycle("started", f"{self.directory} on {self._ifname}"), *recalled])
            self._working.start_soon(self._follow, notices, self._working)
            if self._phase == "Starting":
                self._become("Running")
            for event in self.part.first():
                await self._perform(self._machine.handle(event, self._host.clock.now()))
            await drive(self._machine, self._inbox.inputs, self._perform, self._host.clock)
            self._working.cancel_scope.cancel()

    async def _follow(self, notices: trio.MemoryReceiveChannel[Notice], working: trio.Nursery) -> None:
        async for notice in notices:
            await self._link.follow(notice, working)
            self.refresh()

    # What happens to it

    def put(self, event: Any) -> None:
        """Tell the machine. Its link and its peers go on while it ends, but nothing comes in after the Stop, and none
        between a crash and the next run."""
        if self._phase in ("Starting", "Running"):
            self._inbox.put(event)

    def _deliver(self, packet: NdpPacket) -> None:
        if self._phase in ("Starting", "Running"):
            self._inbox.deliver(packet)

    def refresh(self, because: int = 0) -> None:
        """Look at ourselves again: the host has changed, the configuration's generation is another one, or there is
        something else to tell because of this event."""
        self._given = because or self._given
        if self._machine is not None and self._phase == "Running":
            self._say(self.part.said((), self._around()))

    # What the machine says

    async def _perform(self, outputs: Sequence[Any]) -> None:
        """One step of the machine, in order: what must be kept is on disk before what follows is sent."""
        await trio.lowlevel.checkpoint()
        events: list[Event] = []
        for output in outputs:
            match output:
                case NdpPacket():
                    await self._send(output)
                case Dropped(reason):
                    self._inbox.drop(reason)
                case _:
                    events += await self.part.keep(output)
        events += self.part.said(outputs, self._around())
        self._say(events)
        self._orders.settle(self.part.quiet)
        if self._phase == "Draining" and self._for_good and self.part.quiet:
            self._inbox.close()

    async def _send(self, packet: NdpPacket) -> None:
        """A packet that does not leave is a lost packet: the machine's timers run on."""
        try:
            await self._link.send(packet)
            self._sent += 1
        except OSError:
            self._inbox.drop("send-failed")

    def _say(self, events: Sequence[Event]) -> None:
        around = self._around()
        status = None if self._phase in ("Draining", "Stopped") else self.part.status(around)
        news = status if status != self._status else None
        if events or news is not None:
            self._status = self._status if news is None else news
            said = [Said(event, () if event.causes else self._of_event(around)) for event in events]
            self._scribe.say(Entry(said, news, None, said or self._because()))

    def _of_event(self, around: Around) -> Sequence[int]:
        """What is told follows from what was given to be told. What is heard comes from outside, and is the root; but
        what ends while nothing can be heard ends for that."""
        if around.facts.obstacle:
            return (self._incidents.last(incidents.link(self._ifname)),)
        return self._because() if self._given else ()

    def _because(self) -> Sequence[int]:
        """Why something is different although nobody said anything: the link, another generation, or what was given
        to be told."""
        return (max(self._incidents.last(incidents.link(self._ifname)), self._began(), self._given),)

    def _around(self) -> Around:
        return Around(self._link.facts, self._generation(), self._host.clock.now(), self._orders.stopped)

    def _lifecycle(self, word: str, message: str) -> Event:
        return self._tell.lifecycle(word, message, self._began())

    def _become(self, phase: DaemonPhase) -> None:
        if phase != self._phase:
            self._phase, self._since = phase, self._host.clock.wall()

    # Commands

    async def command(
        self, name: str, attributes: Mapping[str, str], wait: float, actor: str, cause: int = 0
    ) -> CommandEnd:
        """See Daemon. None of them takes attributes."""
        return await self._orders.take(name, actor, wait, cause, self._phase, self._working)


def _words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
