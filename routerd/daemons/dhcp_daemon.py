"""The managed DHCP client of either version: one machine in life, the commands it takes, its face to the API. What is
its protocol's own is its part (`dhcp_part`).

What happens to it comes in by one inbox; what its machine says goes to the line at once and to the scribe, which
writes the lease file, then the log. It changes nothing on the host: controllers do that, from its statuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import trio

from routerd.api.plane import CommandEnd
from routerd.daemons.commands import Commands
from routerd.daemons.dhcp_course import Course
from routerd.daemons.dhcp_part import Client, Part, Stage
from routerd.daemons.face import Face
from routerd.daemons.given import Given
from routerd.daemons.inbox import Inbox
from routerd.daemons.lifetime import GOODBYE, Lifetime, Standing
from routerd.daemons.orders import Orders
from routerd.daemons.scribe import Entry, Said, Scribe
from routerd.events.status import condition
from routerd.events.types import Ref, Status
from routerd.host import Link, Notice
from routerd.nurseries.driver import drive
from routerd.protocols.machine import Dropped, Refused, Start, Stop

P = TypeVar("P", bound=Part)


class DhcpDaemon(Generic[P]):
    """See the module. It has the name of one of its resources, `resource`, whose face is the first of `faces`. One name
    has one socket, of what comes first."""

    def __init__(self, part: P, given: Given) -> None:
        self.part = part
        self.source = part.source
        self.resource = part.resource
        self.directory = part.directory
        self._house = given
        self._log = given.log
        self._clock = given.host.clock
        self._commands = Commands(given.log, part.resource, part.source)
        self._crashed = 0
        self.standing = Standing(self._clock)
        refs: dict[str, Ref] = {}
        for ref in (part.resource, *part.refs):
            refs.setdefault(ref.name, ref)
        self.faces = [Face(self, ref) for ref in refs.values()]
        self.sent = 0
        self.inbox = Inbox(self._tell_first_drop)
        self._begin()

    def _begin(self) -> None:
        """Everything that one run owns and the next must not inherit."""
        self.inbox.begin()
        self.scribe = Scribe(self._log, self.resource, self._house.run_sync, self.part.protocol)
        self._lifetime = Lifetime(self.scribe, self.standing)
        self._client: Client | None = None
        self._working: trio.Nursery | None = None
        self._absent = ""
        self._in_step = True
        self._orders = Orders(
            who="client",
            standing=self.standing,
            commands=self._commands,
            inputs={**self.part.exchanges, "start": Start(), "stop": self.part.stop()},
            put=self.inbox.put,
            has_ended=lambda: self.is_stopped,
            say=self.scribe.say,
            reload=self._house.reload,
        )
        self._course = Course(self.part.ifname, self._house.incidents, self._why_it_began, self._commands.began)
        inbox = self.inbox
        self.part.begin(Stage(inbox.put, inbox.deliver, inbox.drop, self.scribe, self._commands, self._course))

    def _why_it_began(self) -> int:
        return max(self._house.began(), self._crashed)

    # What its faces show

    @property
    def is_well(self) -> bool:
        """See Behind."""
        return self._client is not None and self.part.has_all(self._client)

    @property
    def is_stopped(self) -> bool:
        """See Behind."""
        return self._client is not None and isinstance(self._client.state, self.part.stopped)

    @property
    def trouble(self) -> str | None:
        """See Behind."""
        return self.part.voice.last_error

    def observed(self, ref: Ref) -> Mapping[str, Any]:
        """See Behind."""
        stored = self._log.objects.get(ref)
        return self.part.observed(stored.status if stored else {})

    async def command(self, name: str, wait: float, actor: str, cause: int) -> CommandEnd:
        """See Behind."""
        return await self._orders.take(name, actor, wait, cause, self._working)

    # The life

    async def crashed(self, error: str, cause: int) -> None:
        """The supervisor's word: phase Error until it runs again (the leases stay in use: X-4). `cause` is the event
        that tells of the crash."""
        self.standing.become("Blocked")
        self._crashed = cause
        self.part.voice.last_error = error
        await self._commands.abandon(f"the client crashed: {error}")
        stored = [one for ref in self.part.refs if (one := self._log.objects.get(ref)) is not None]
        if stored:
            status = {one.ref: crashed_status(one.status, error, self._house.generation()) for one in stored}
            await self._log.append(status=status, because=dict.fromkeys(status, (cause,)))

    async def run(self) -> None:
        """Run until cancelled; then say goodbye: to the servers if the operator wants leases given back, and the last
        events. Raises what is our own fault, for the supervisor."""
        self._begin()
        await self._lifetime.run(self._live, self._end)

    def hasten(self) -> None:
        """The whole router ends: there is no time for more than a goodbye."""
        self._lifetime.hasten()

    def _end(self) -> float:
        """Nothing more comes in after the Stop, but to one who gives leases back, until that is done. Returns how long
        that may take."""
        goodbye = self.part.goodbye()
        self.inbox.put(goodbye)
        if goodbye != Stop():
            return self.part.farewell
        self.inbox.close()
        return GOODBYE

    async def _live(self) -> None:
        """From the first word to the last."""
        await self._work()
        await self._commands.abandon("the client ended before the command did")
        self._say(Said(self.part.tell.lifecycle("stopped", f"the client ends; {self.part.leases}")))

    async def _work(self) -> None:
        async with self._house.host.watch() as notices, trio.open_nursery() as self._working:
            words = f"{self.part.protocol.replace('dhcp', 'DHCP')} client for {self.part.ifname}"
            self._say(self._course.started(self.part.tell.lifecycle("started", words)))
            link = await self._first_link(notices)
            if link is not None:
                await self._serve(link, notices, self._working)
            self._working.cancel_scope.cancel()

    async def _first_link(self, notices: trio.MemoryReceiveChannel[Notice]) -> Link | None:
        """Wait until our interface exists. None when we shall end before."""
        found: list[Link] = []

        async def look(scope: trio.CancelScope) -> None:
            found.append(await self.part.attachment.first(notices, self._wait))
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look, nursery.cancel_scope)
            await self.inbox.inputs.receive()  # only the goodbye can come before there is a machine
            nursery.cancel_scope.cancel()
        return found[0] if found else None

    def _wait(self, reason: str) -> None:
        self._absent = reason
        self.part.voice.wait(reason)

    async def _serve(self, link: Link, notices: trio.MemoryReceiveChannel[Notice], working: trio.Nursery) -> None:
        self._absent = ""
        self._client = client = await self.part.open(link)
        await self.part.attachment.attach(link, working)
        working.start_soon(self._follow, notices, working)
        if self.standing.phase == "Starting":
            self.standing.become("Running")
        self._say(self._course.ready(self.part.tell.lifecycle("ready", f"listening on {link.name}")))
        self._tell_link(client)
        await drive(client, self.inbox.inputs, self._perform, self._clock)

    def _tell_link(self, client: Client) -> None:
        """The machine knows its link before it starts: else it would say for a moment that there is none."""
        while self.standing.phase != "Draining" and self.inbox.waiting:
            client.handle(self.inbox.inputs.receive_nowait(), self._clock.now())

    async def _follow(self, notices: trio.MemoryReceiveChannel[Notice], working: trio.Nursery) -> None:
        async for notice in notices:
            await self.part.attachment.follow(notice, working)
            self.refresh()

    def refresh(self) -> None:
        """Look at ourselves again: the host has changed, the clock was set, routers have spoken, or the configuration's
        generation is another one. During a step of the machine, and before its first, the step speaks."""
        if self._absent:
            self.part.voice.wait(self._absent)
        elif self._client is not None:
            self.part.look(self.standing.phase == "Running")
            if not self._in_step:
                self.part.voice.tell_circumstances(self._client)

    # What the machine says

    async def _perform(self, said: Sequence[Any]) -> None:
        """One step of the machine: packets leave at once, everything else is written."""
        client = self._client
        assert client is not None
        self._in_step = True
        await self.part.act(client, said, self._send)
        for output in said:
            if isinstance(output, Dropped):
                self.inbox.drop(output.reason)
        self.part.voice.tell_step(client, said)
        self._end_commands(client, said)
        self.part.voice.tell_circumstances(client)
        self._in_step = False
        if self.standing.phase == "Draining" and self.is_stopped:
            self.inbox.close()

    async def _send(self, output: Any) -> None:
        """A packet that does not leave is a lost packet (V4-31, V4-39): the machine is told, its timers run on."""
        try:
            await self.part.send(output)
            self.sent += 1
        except OSError as error:
            self.inbox.drop("send-failed")
            self.part.not_sent(output, error.strerror or str(error))

    def _tell_first_drop(self, reason: str) -> None:
        """The first packet that is ignored for this reason; the others are only counted."""
        words = f"the first packet that is ignored for this: {reason}"
        self._say(Said(self.part.tell("packet.dropped", "PacketDropped", words, "debug", cause=reason)))

    def _say(self, said: Said) -> None:
        self.scribe.say(Entry([said]))

    def _end_commands(self, client: Client, said: Sequence[Any]) -> None:
        """What was asked of the machine, and has come to its end with this step."""
        for output in said:
            if isinstance(output, self.part.finished):
                self._commands.end(output.command, output.ok, output.detail, self.scribe.say)  # type: ignore[attr-defined]
            elif isinstance(output, Refused):
                hint = f"routerctl {'start' if self.is_stopped else 'why'} {self.resource}"
                self._commands.end(output.command, False, output.reason, self.scribe.say, accepted=False, hint=hint)
        if self.is_stopped:
            self._commands.end("stop", True, "stopped", self.scribe.say)
        else:
            self._commands.end("start", True, "started", self.scribe.say)


def crashed_status(status: Status, error: str, generation: int) -> Status:
    """The last status with the crash on top: the leases' fields stay, because the leases do."""
    conditions = [
        condition(one["type"], None, "CrashLoop", generation) if one["type"].endswith("Ready") else one
        for one in status.get("conditions", ())
    ]
    words = {"phase": "Error", "reason": "CrashLoop", "lastError": error, "observedGeneration": generation}
    return {**status, **words, "conditions": conditions}
