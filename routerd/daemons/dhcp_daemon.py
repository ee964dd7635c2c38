"""The managed DHCP client of either version: one machine in life, the commands it takes, its face to the API. What is
its protocol's own is its part (`dhcp_part`).

What happens to it comes in by one inbox; what its machine says goes to the line at once and to the scribe, which
writes the lease file, then the log. It changes nothing on the host: controllers do that, from its statuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import trio

from routerd.api.plane import CommandEnd, DaemonPhase, Health, Packets, UnknownCommand
from routerd.daemons.commands import Commands
from routerd.daemons.dhcp_facet import Facet
from routerd.daemons.dhcp_inbox import Inbox
from routerd.daemons.dhcp_part import Client, Part, Stage
from routerd.daemons.given import Given
from routerd.daemons.lifetime import GOODBYE, Lifetime
from routerd.daemons.scribe import Scribe
from routerd.events.types import Ref
from routerd.host import Link, Notice
from routerd.nurseries.driver import drive
from routerd.protocols.machine import Dropped, Refused, Start, Stop

COMMANDS = ("start", "stop", "reload")
"""Those of every client; its part has others."""

P = TypeVar("P", bound=Part)


class DhcpDaemon(Generic[P]):
    """See the module; the public face is `routerd.api.plane.Daemon`. It has the name of one of its resources,
    `resource`; the others have the faces that `facets` gives."""

    def __init__(self, part: P, given: Given) -> None:
        self.part = part
        self.source = part.source
        self.resource = part.resource
        self.api_version = part.resource.api_version
        self.resource_kind = part.resource.kind
        self.directory = part.directory
        self._house = given
        self._log = given.log
        self._clock = given.host.clock
        self._commands = Commands(given.log, part.resource, part.source)
        self._crashed = 0
        self._phase: DaemonPhase = "Starting"
        self._since = self._clock.wall()
        self._sent = 0
        self._inbox = Inbox(lambda reason: part.voice.tell_first_drop(reason))
        self._begin()

    def _begin(self) -> None:
        """Everything that one run owns and the next must not inherit."""
        self._inbox.begin()
        self._scribe = Scribe(self._log, self.resource, self._house.run_sync, self.part.protocol)
        self._lifetime = Lifetime(self._scribe)
        self._client: Client | None = None
        self._working: trio.Nursery | None = None
        self._absent = ""
        self._in_step = True
        inbox, began = self._inbox, self._why_it_began
        self.part.begin(Stage(inbox.put, inbox.deliver, inbox.drop, self._scribe, self._commands, began))

    def _why_it_began(self) -> int:
        return max(self._house.began(), self._crashed)

    # The face

    @property
    def facets(self) -> Sequence[Facet]:
        """The faces of its other resources. One name has one socket, of what comes first."""
        refs: dict[str, Ref] = {}
        for ref in self.part.refs:
            refs.setdefault(ref.name, ref)
        return [Facet(self, ref) for name, ref in refs.items() if name != self.resource.name]

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
        """ok with all that is wanted; degraded while acquiring or without a link; failed while crashing."""
        if self._phase != "Running":
            return "failed" if self._phase == "Blocked" else "unknown"
        return "ok" if self._client is not None and self.part.has_all(self._client) else "degraded"

    @property
    def unhealthy_reason(self) -> str | None:
        """See Daemon: only a client that cannot do its work is unhealthy, not one whose server is away."""
        reason = self.part.voice.last_error or "not yet running"
        return None if self._phase == "Running" else f"{self._phase}: {reason}"

    @property
    def detail(self) -> str:
        """See Daemon."""
        if self._phase == "Running" and self._has_ended:
            return "stopped by command"
        return self.unhealthy_reason or self._phase

    @property
    def observed(self) -> Mapping[str, str]:
        """See Daemon."""
        return self.observed_of(self.resource)

    def observed_of(self, ref: Ref) -> Mapping[str, str]:
        """The same of one of its resources."""
        stored = self._log.objects.get(ref)
        unwritten = {"events": self._scribe.dropped} if self._scribe.dropped else {}
        return self.part.observed(stored.status if stored else {}, {**self._inbox.dropped, **unwritten})

    @property
    def packets(self) -> Packets:
        """See Daemon. A packet that was none of its protocol at all is dropped, and not received."""
        return Packets(self._sent, self._inbox.received, dict(self._inbox.dropped))

    async def crashed(self, error: str, cause: int) -> None:
        """The supervisor's word: phase Error until it runs again (the leases stay in use: X-4). `cause` is the event
        that tells of the crash."""
        self._become("Blocked")
        self._crashed = cause
        self.part.voice.last_error = error
        await self._commands.abandon(f"the client crashed: {error}")
        stored = [one for ref in self.part.refs if (one := self._log.objects.get(ref)) is not None]
        if stored:
            status = {one.ref: self.part.crashed(one.status, error) for one in stored}
            await self._log.append(status=status, because=dict.fromkeys(status, (cause,)))

    # The life

    async def run(self) -> None:
        """Run until cancelled; then say goodbye: to the servers if the operator wants leases given back, and the last
        events. Raises what is our own fault, for the supervisor."""
        self._begin()
        self._become("Starting")
        try:
            await self._lifetime.run(self._live, self._end)
        finally:
            self._become("Stopped" if self._phase == "Draining" else "Blocked")

    def hasten(self) -> None:
        """The whole router ends: there is no time for more than a goodbye."""
        self._lifetime.hasten()

    def _end(self) -> float:
        """Nothing more comes in after the Stop, but to one who gives leases back, until that is done. Returns how long
        that may take."""
        self._become("Draining")
        goodbye = self.part.goodbye()
        self._inbox.put(goodbye)
        if goodbye != Stop():
            return self.part.farewell
        self._inbox.close()
        return GOODBYE

    async def _live(self) -> None:
        """From the first word to the last."""
        await self._work()
        await self._commands.abandon("the client ended before the command did")
        self.part.voice.tell_stopped()

    async def _work(self) -> None:
        async with self._house.host.watch() as notices, trio.open_nursery() as self._working:
            self.part.voice.tell_started()
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
            await self._inbox.inputs.receive()  # only the goodbye can come before there is a machine
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
        if self._phase == "Starting":
            self._become("Running")
        self.part.voice.tell_ready(link.name)
        self._tell_link(client)
        await drive(client, self._inbox.inputs, self._perform, self._clock)

    def _tell_link(self, client: Client) -> None:
        """The machine knows its link before it starts: else it would say for a moment that there is none."""
        while self._phase != "Draining" and self._inbox.waiting:
            client.handle(self._inbox.inputs.receive_nowait(), self._clock.now())

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
            self.part.look(self._phase == "Running")
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
                self._inbox.drop(output.reason)
        self.part.voice.tell_step(client, said)
        self._end_commands(client, said)
        self.part.voice.tell_circumstances(client)
        self._in_step = False
        if self._phase == "Draining" and self._has_ended:
            self._inbox.close()

    @property
    def _has_ended(self) -> bool:
        return self._client is not None and isinstance(self._client.state, self.part.stopped)

    async def _send(self, output: Any) -> None:
        """A packet that does not leave is a lost packet (V4-31, V4-39): the machine is told, its timers run on."""
        try:
            await self.part.send(output)
            self._sent += 1
        except OSError as error:
            self._inbox.drop("send-failed")
            self.part.not_sent(output, error.strerror or str(error))

    def _become(self, phase: DaemonPhase) -> None:
        if phase != self._phase:
            self._phase, self._since = phase, self._clock.wall()

    # Commands

    async def command(
        self, name: str, attributes: Mapping[str, str], wait: float, actor: str, cause: int = 0
    ) -> CommandEnd:
        """See Daemon. None of them takes attributes; each is about all of the client's resources."""
        if name not in self.part.exchanges and name not in COMMANDS:
            raise UnknownCommand(name)
        asked = await self._commands.receive(name, actor, cause)
        objection = self._objection(name)
        if objection:
            return await self._commands.reject(asked, objection)
        self._commands.begin(asked)
        if name == "reload":
            assert self._working is not None  # it runs
            self._working.start_soon(self._read_configuration, actor, asked.began)
        else:
            self._inbox.put({**self.part.exchanges, "start": Start(), "stop": self.part.stop()}[name])
        return await self._commands.outcome(asked, wait)

    def _objection(self, name: str) -> str:
        """Why a command cannot be, as far as it is not for the machine to say."""
        if self._phase != "Running" or self._client is None:
            return f"the client is {self._phase.lower()}"
        if self._commands.is_under_way(name):
            return f"{name} is under way already"
        if name in ("start", "stop") and (name == "start") is not self._has_ended:
            return f"the client is {'stopped' if self._has_ended else 'running'} already"
        return ""

    async def _read_configuration(self, actor: str, cause: int) -> None:
        error = await self._house.reload(actor, cause)
        self._commands.end("reload", error is None, error or "the configuration was read again", self._scribe.say)

    def _end_commands(self, client: Client, said: Sequence[Any]) -> None:
        """What was asked of the machine, and has come to its end with this step."""
        for output in said:
            if isinstance(output, self.part.finished):
                self._commands.end(output.command, output.ok, output.detail, self._scribe.say)  # type: ignore[attr-defined]
            elif isinstance(output, Refused):
                hint = f"routerctl start {self.resource}" if self._has_ended else ""
                self._commands.end(output.command, False, output.reason, self._scribe.say, accepted=False, hint=hint)
        if self._has_ended:
            self._commands.end("stop", True, "stopped", self._scribe.say)
        else:
            self._commands.end("start", True, "started", self._scribe.say)
