"""The life that the two managed daemons of Neighbor Discovery have in common: a machine on an interface, a scribe for
what it says, the commands it takes. What each of them is for is its `Part`.

It changes nothing on the host: controllers do that, from the status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import trio

from routerd.api.plane import CommandEnd
from routerd.daemons.commands import Commands
from routerd.daemons.face import Face
from routerd.daemons.given import Given
from routerd.daemons.inbox import Inbox
from routerd.daemons.lifetime import FAREWELL, GOODBYE, Lifetime, Standing
from routerd.daemons.ndp_link import NdpLink
from routerd.daemons.ndp_part import Around, Part
from routerd.daemons.ndp_speakers import Speakers
from routerd.daemons.orders import Orders
from routerd.daemons.scribe import Entry, Said, Scribe
from routerd.daemons.teller import Teller
from routerd.events import incidents
from routerd.events.types import Event, Ref, Source, Status
from routerd.host import Notice
from routerd.nurseries.driver import drive
from routerd.protocols.machine import Dropped, Machine, Start, Stop
from routerd.protocols.ndp.message import NdpPacket

API_VERSION = "net.routerd.net/v1alpha1"


class NdpDaemon:
    """See the module."""

    def __init__(self, name: str, ifname: str, part: Part, given: Given) -> None:
        self.part = part
        self.directory = part.directory
        self.source = Source(f"{part.kind}-{name}", part.kind, name)
        self.resource = Ref(part.resource_kind, name, API_VERSION)
        self._ifname = ifname
        self._house = given
        self._log = given.log
        self._clock = given.host.clock
        self._tell = Teller(part.topic, self.resource, self.source)
        self._commands = Commands(given.log, self.resource, self.source)
        self.standing = Standing(self._clock)
        self.faces = [Face(self, self.resource)]
        self.inbox = Inbox(lambda reason: None)
        self.sent = 0
        self._for_good = False
        self.trouble = ""
        self._begin()

    def _begin(self) -> None:
        """Everything that one run owns and the next must not inherit."""
        self.inbox.begin()
        self.scribe = Scribe(self._log, self.resource, self._house.run_sync)
        self._lifetime = Lifetime(self.scribe, self.standing)
        self._link = NdpLink(self._ifname, self._house.endpoints, self.put, self._deliver, self.inbox.drop)
        self._machine: Machine[Any, Any] | None = None
        self._working: trio.Nursery | None = None
        self._speakers = Speakers(self._clock.now)
        self.is_stopped = False
        self._orders = Orders(
            who="daemon",
            standing=self.standing,
            commands=self._commands,
            inputs={"start": Start(), "stop": Stop(release=True)},
            put=self._obey,
            has_ended=lambda: self.is_stopped,
            say=self.scribe.say,
            reload=self._house.reload,
        )
        self._status: Status | None = None
        self._given = 0
        self._ordered = 0

    # What its face shows

    @property
    def is_well(self) -> bool:
        """See Behind."""
        return (self._status or {}).get("phase") in ("Bound", "Applied")

    def observed(self, ref: Ref) -> Mapping[str, Any]:
        """See Behind. What is deeper than a list of words is in the status alone."""
        return {key: value for key, value in self._stored.items() if isinstance(value, str | int) or _words(value)}

    @property
    def _stored(self) -> Status:
        stored = self._log.objects.get(self.resource)
        return stored.status if stored is not None else {}

    async def command(self, name: str, wait: float, actor: str, cause: int) -> CommandEnd:
        """See Behind."""
        return await self._orders.take(name, actor, wait, cause, self._working)

    # The life

    async def crashed(self, error: str, cause: int) -> None:
        """The supervisor's word: phase Error until it runs again; what is installed stays (X-4)."""
        self.standing.become("Blocked")
        self.trouble = error
        await self._commands.abandon(f"the daemon crashed: {error}")
        if self._stored:
            bare = {key: value for key, value in self._stored.items() if key != "state"}
            status = {**bare, "phase": "Error", "reason": "CrashLoop", "message": error}
            await self._log.append(status={self.resource: status}, because={self.resource: (cause,)})

    async def run(self) -> None:
        """Run until cancelled; then say goodbye. Raises what is our own fault, for the supervisor."""
        self._begin()
        await self._lifetime.run(self._live, self._end)

    def leave_for_good(self) -> None:
        """The resource was removed from the configuration: the end, which follows, is more than a restart."""
        self._for_good = True

    def hasten(self) -> None:
        """The whole router ends: there is no time for more than a goodbye."""
        self._lifetime.hasten()

    def _end(self) -> float:
        self.inbox.put(Stop(release=self._for_good))
        if self._machine is None or not self._for_good:
            self.inbox.close()
        return FAREWELL if self._for_good else GOODBYE

    async def _live(self) -> None:
        """From the first word to the last."""
        await self._work()
        await self._commands.abandon("the daemon ended before the command did")
        self._say([self._lifecycle("stopped", "the daemon ends; what is installed stays")])

    async def _work(self) -> None:
        async with self._house.host.watch() as notices, trio.open_nursery() as self._working:
            first = await notices.receive()
            await self._link.follow(first, self._working)
            self._machine, recalled = await self.part.open(self._tell, self._around(), self._stored)
            self.trouble = ""
            self._say([self._lifecycle("started", f"{self.directory} on {self._ifname}"), *recalled])
            self._working.start_soon(self._follow, notices, self._working)
            if self.standing.phase == "Starting":
                self.standing.become("Running")
            for event in self.part.first():
                await self._perform(self._machine.handle(event, self._clock.now()))
            await drive(self._machine, self.inbox.inputs, self._perform, self._clock)
            self._working.cancel_scope.cancel()

    async def _follow(self, notices: trio.MemoryReceiveChannel[Notice], working: trio.Nursery) -> None:
        async for notice in notices:
            await self._link.follow(notice, working)
            self.refresh()

    # What happens to it

    def put(self, event: Any) -> None:
        """Tell the machine. Its link and its peers go on while it ends, but nothing comes in after the Stop, and none
        between a crash and the next run."""
        if self.standing.phase in ("Starting", "Running"):
            self.inbox.put(event)

    def _deliver(self, packet: NdpPacket) -> None:
        if self.standing.phase in ("Starting", "Running"):
            self.inbox.deliver(packet, self._speakers.objection)

    def _obey(self, event: Any) -> None:
        self.is_stopped = isinstance(event, Stop)
        self._ordered = self._commands.began("stop" if self.is_stopped else "start")
        self.put(event)

    def refresh(self, because: int = 0) -> None:
        """Look at ourselves again: the host has changed, the configuration's generation is another one, or there is
        something else to tell because of this event."""
        self._given = because or self._given
        if self._machine is not None and self.standing.phase == "Running":
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
                    self.inbox.drop(reason)
                case _:
                    events += await self.part.keep(output)
        events += self.part.said(outputs, self._around())
        self._say(events)
        self._end_commands()
        if self.standing.phase == "Draining" and self._for_good and self.part.quiet:
            self.inbox.close()

    async def _send(self, packet: NdpPacket) -> None:
        """A packet that does not leave is a lost packet: the machine's timers run on."""
        try:
            await self._link.send(packet)
            self.sent += 1
        except OSError:
            self.inbox.drop("send-failed")

    def _say(self, events: Sequence[Event]) -> None:
        around = self._around()
        status = None if self.standing.phase in ("Draining", "Stopped") else self.part.status(around)
        news = status if status != self._status else None
        if events or news is not None:
            self._status = self._status if news is None else news
            said = [Said(event, () if event.causes else self._of_event(around)) for event in events]
            self.scribe.say(Entry(said, news, None, said or self._because()))

    def _of_event(self, around: Around) -> Sequence[int]:
        """What is told follows from what was given to be told, or from the command to stop. What is heard comes from
        outside, and is the root; but what ends while nothing can be heard ends for that."""
        if around.facts.obstacle:
            return (self._house.incidents.last(incidents.link(self._ifname)),)
        return self._because() if self._given or self.is_stopped else ()

    def _because(self) -> Sequence[int]:
        """Why something is different although nobody said anything: the link, another generation, what was given to be
        told, or a command."""
        link = self._house.incidents.last(incidents.link(self._ifname))
        return (max(link, self._house.began(), self._given, self._ordered),)

    def _around(self) -> Around:
        return Around(self._link.facts, self._house.generation(), self._clock.now(), self.is_stopped)

    def _lifecycle(self, word: str, message: str) -> Event:
        return self._tell.lifecycle(word, message, self._house.began())

    def _end_commands(self) -> None:
        """What has come to its end with this step."""
        if not self.is_stopped:
            self._commands.end("start", True, "started", self.scribe.say)
        elif self.part.quiet:
            self._commands.end("stop", True, "stopped", self.scribe.say)


def _words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
