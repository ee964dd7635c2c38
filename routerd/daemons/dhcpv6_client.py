"""The managed DHCPv6 client of one interface: one machine, how it hangs on the interface, what it remembers, the
commands it takes. All DHCPv6 resources of the interface are its associations (V6-13).

What happens to it comes in by one inbox; what its machine says goes to the port at once and to the scribe, which
writes the lease file, then the log. It changes nothing on the host: controllers do that, from its statuses.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import IPv6Address
from pathlib import Path

import trio

from routerd.api.plane import CommandEnd, DaemonPhase, Health, Packets, UnknownCommand
from routerd.daemons.commands import Commands
from routerd.daemons.dhcpv6_attachment import Attachment
from routerd.daemons.dhcpv6_causes import Causes
from routerd.daemons.dhcpv6_facet import Facet
from routerd.daemons.dhcpv6_memory import LeaseMemory
from routerd.daemons.dhcpv6_report import Teller
from routerd.daemons.dhcpv6_routers import Routers
from routerd.daemons.dhcpv6_settings import DIRECTORY, KIND, ClientSpec, marking_of, settings_of
from routerd.daemons.dhcpv6_status import crashed_status, observed_of
from routerd.daemons.dhcpv6_voice import Voice
from routerd.daemons.lifetime import FAREWELL, GOODBYE, Lifetime
from routerd.daemons.scribe import Scribe
from routerd.endpoints import Endpoints
from routerd.events.incidents import Incidents
from routerd.events.log import Log
from routerd.events.types import Ref, Source
from routerd.events.writer import Runner
from routerd.host import Host, Link, Notice
from routerd.nurseries.driver import drive
from routerd.protocols.dhcpv6 import inputs, outputs
from routerd.protocols.dhcpv6.association import Association
from routerd.protocols.dhcpv6.binding import Binding
from routerd.protocols.dhcpv6.client import Client
from routerd.protocols.dhcpv6.states import Stopped
from routerd.protocols.machine import Dropped, Refused, Start, Stop

INBOX = 256
"""Packets that wait for the machine; what comes beyond is dropped (C17), as a socket's buffer does it."""

EXCHANGES: Mapping[str, inputs.Input] = {
    "renew": inputs.Renew(),
    "rebind": inputs.Rebind(),
    "release": inputs.Release(),
    "info-request": inputs.RequestInformation(),
    "flush": inputs.Flush(),
}
COMMANDS = (*EXCHANGES, "start", "stop", "reload")


class DHCPv6Daemon:
    """See the module; the public face is `routerd.api.plane.Daemon`. It has the name of one of its resources,
    `resource`; the others have the faces that `facets` gives."""

    directory = DIRECTORY
    kind = KIND

    def __init__(
        self,
        resource: Ref,
        spec: ClientSpec,
        *,
        host: Host,
        endpoints: Endpoints,
        log: Log,
        incidents: Incidents,
        began: Callable[[], int],
        state_dir: Path,
        generation: Callable[[], int],
        reload: Callable[[str, int], Awaitable[str | None]],
        run_sync: Runner = trio.to_thread.run_sync,
        rng: random.Random,
    ) -> None:
        self.source = Source(f"{self.kind}-{resource.name}", self.kind, resource.name)
        self.resource = resource
        self.api_version = resource.api_version
        self.resource_kind = resource.kind
        self._spec = spec
        self._host = host
        self._endpoints = endpoints
        self._log = log
        self._incidents = incidents
        self._began = began
        self._crashed = 0
        self._generation = generation
        self._reload = reload
        self._run_sync = run_sync
        self._rng = rng
        owners = {part.association: part.ref for part in reversed(spec.parts)}
        self._tell = Teller(resource, self.source, dict(reversed(owners.items())))
        files = state_dir / self.directory
        self._memory = LeaseMemory(spec, state_dir, files, host.clock, run_sync, self._tell, rng)
        self._commands = Commands(log, resource, self.source)
        self._phase: DaemonPhase = "Starting"
        self._since = host.clock.wall()
        self._sent, self._received = 0, 0
        self._dropped: Counter[str] = Counter()
        self._given_back: frozenset[Association] = frozenset()
        self._begin()

    def _begin(self) -> None:
        """Everything that one run owns and the next must not inherit."""
        spec, put, drop = self._spec, self._put, self._drop
        self._inbox, self._inputs = trio.open_memory_channel[inputs.Input | Start | Stop](math.inf)
        self._scribe = Scribe(self._log, self.resource, self._run_sync, "dhcpv6")
        self._lifetime = Lifetime(self._scribe)
        self._routers = Routers(spec.interface)
        self._goes_on = False
        marking, may_speak = marking_of(spec), self._may_speak
        self._attachment = Attachment(spec.ifname, self._endpoints, marking, put, self._deliver, drop, may_speak)
        clock, command = self._host.clock, self._commands.began
        causes = Causes(spec.ifname, self._incidents, lambda: max(self._began(), self._crashed), command)
        self._voice = Voice(
            spec, clock, self._generation, self._attachment, self._memory, self._scribe, self._tell, causes
        )
        self._client: Client | None = None
        self._working: trio.Nursery | None = None
        self._absent = False
        self._in_step = True

    # The face

    @property
    def facets(self) -> Sequence[Facet]:
        """The faces of its other resources. One name has one socket, of what comes first."""
        refs: dict[str, Ref] = {}
        for part in self._spec.parts:
            refs.setdefault(part.ref.name, part.ref)
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
        return "ok" if self._client is not None and self._has_all(self._client) else "degraded"

    def _has_all(self, client: Client) -> bool:
        wanted = [part.association for part in self._spec.parts]
        return all(client.information is not None if about is None else about in client.bindings for about in wanted)

    @property
    def unhealthy_reason(self) -> str | None:
        """See Daemon: only a client that cannot do its work is unhealthy, not one whose server is away."""
        return None if self._phase == "Running" else f"{self._phase}: {self._voice.last_error or 'not yet running'}"

    @property
    def detail(self) -> str:
        """See Daemon."""
        if self._phase == "Running" and self._client is not None and isinstance(self._client.state, Stopped):
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
        return observed_of(stored.status if stored else {}, {**self._dropped, **unwritten})

    @property
    def packets(self) -> Packets:
        """See Daemon. A packet that was no DHCPv6 at all is dropped, and not received."""
        return Packets(self._sent, self._received, dict(self._dropped))

    async def crashed(self, error: str, cause: int) -> None:
        """The supervisor's word: phase Error until it runs again (the leases stay in use: X-4). `cause` is the event
        that tells of the crash."""
        self._become("Blocked")
        self._crashed = cause
        self._voice.last_error = error
        await self._commands.abandon(f"the client crashed: {error}")
        stored = [one for part in self._spec.parts if (one := self._log.objects.get(part.ref)) is not None]
        if stored:
            status = {one.ref: crashed_status(one.status, error, self._generation()) for one in stored}
            await self._log.append(status=status, because=dict.fromkeys(status, (cause,)))

    # The life

    async def run(self) -> None:
        """Run until cancelled; then say goodbye: a packet if the operator wants the leases released, and the last
        events. Raises what is our own fault, for the supervisor."""
        self._begin()
        self._become("Starting")
        try:
            await self._lifetime.run(self._live, self._end)
        finally:
            self._become("Stopped" if self._phase == "Draining" else "Blocked")

    def give_back(self, associations: frozenset[Association]) -> None:
        """These are not wanted any more: the end, which follows, is more than a restart (V6-27)."""
        self._given_back = associations

    def hasten(self) -> None:
        """The whole router ends: there is no time for more than a goodbye."""
        self._lifetime.hasten()

    def _end(self) -> float:
        """The driver ends when it has taken the Stop; of one who gives leases back, when the servers have heard it."""
        self._become("Draining")
        self._voice.muted = frozenset(part.ref for part in self._spec.parts if part.association not in self._given_back)
        if self._given_back:
            self._inbox.send_nowait(inputs.Leave(self._given_back))
            return FAREWELL
        self._inbox.send_nowait(Stop())
        self._inbox.close()
        return GOODBYE

    async def _live(self) -> None:
        """From the first word to the last."""
        await self._work()
        await self._commands.abandon("the client ended before the command did")
        self._voice.tell_stopped()

    async def _work(self) -> None:
        async with self._host.watch() as notices, trio.open_nursery() as self._working:
            self._voice.tell_started()
            link = await self._first_link(notices)
            if link is not None:
                await self._serve(link, notices, self._working)
            self._working.cancel_scope.cancel()

    async def _first_link(self, notices: trio.MemoryReceiveChannel[Notice]) -> Link | None:
        """Wait until our interface exists. None when we shall end before."""
        found: list[Link] = []

        async def look(scope: trio.CancelScope) -> None:
            found.append(await self._attachment.first(notices, self._wait))
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look, nursery.cancel_scope)
            await self._inputs.receive()  # only a Stop can come before there is a machine
            nursery.cancel_scope.cancel()
        return found[0] if found else None

    def _wait(self) -> None:
        self._absent = True
        self._voice.wait()

    async def _serve(self, link: Link, notices: trio.MemoryReceiveChannel[Notice], working: trio.Nursery) -> None:
        self._absent = False
        recalled = await self._memory.recall(link.mac)
        self._goes_on = recalled.remembered is not None and bool(recalled.remembered.bindings)
        self._look_at_routers()
        client = Client(settings_of(self._spec, recalled.duid), self._rng, recalled.remembered)
        self._client, self._voice.last_error = client, None
        self._voice.tell_recalled(recalled)
        await self._attachment.attach(link, working)
        working.start_soon(self._follow, notices, working)
        if self._phase == "Starting":
            self._become("Running")
        self._voice.tell_ready(link.name)
        self._tell_link(client)
        await drive(client, self._inputs, self._perform, self._host.clock)

    def _tell_link(self, client: Client) -> None:
        """The machine knows its link before it starts: else it would say for a moment that there is none."""
        while self._phase != "Draining" and self._inbox.statistics().current_buffer_used:
            client.handle(self._inputs.receive_nowait(), self._host.clock.now())

    async def _follow(self, notices: trio.MemoryReceiveChannel[Notice], working: trio.Nursery) -> None:
        async for notice in notices:
            await self._attachment.follow(notice, working)
            self.refresh()

    # What happens to it

    async def _deliver(self, event: inputs.Input) -> None:
        """A packet came."""
        await trio.lowlevel.checkpoint()
        self._received += 1
        if self._inbox.statistics().current_buffer_used >= INBOX:
            self._drop("inbox-full")
        else:
            self._put(event)

    def _put(self, event: inputs.Input | Start | Stop) -> None:
        """Its link and its peers go on while it ends; but only who says goodbye still listens."""
        if self._phase != "Draining" or (self._given_back and not self._has_ended):
            self._inbox.send_nowait(event)

    def _drop(self, reason: str) -> None:
        """Count what is ignored; the first of each kind is told."""
        self._dropped[reason] += 1
        if self._dropped[reason] == 1:
            self._voice.tell_first_drop(reason)

    def refresh(self) -> None:
        """Look at ourselves again: the host has changed, the clock was set, routers have spoken, or the configuration's
        generation is another one. During a step of the machine, and before its first, the step speaks."""
        if self._absent:
            self._voice.wait()
        elif self._client is not None:
            self._look_at_routers()
            if self._phase == "Running":
                self._attachment.look()
            if not self._in_step:
                self._voice.tell_circumstances(self._client)

    def _look_at_routers(self) -> None:
        for news in self._routers.look(stored.status for stored in self._log.objects.of_kind("IPv6RAAddress")):
            # One that is under way asks for the same; the machine's refusal of a second one would be taken for its end.
            if not isinstance(news, inputs.RequestInformation) or not self._commands.is_under_way("info-request"):
                self._put(news)

    def _may_speak(self) -> bool:
        """A client that follows routers begins when one says so; who has leases goes on in any case."""
        return not self._spec.whole.follow_ra or self._goes_on or self._routers.ask_for_dhcp

    # What the machine says

    async def _perform(self, said: Sequence[outputs.Output]) -> None:
        """One step of the machine: packets leave at once, everything else is written."""
        client = self._client
        assert client is not None
        self._in_step = True
        for output in said:
            match output:
                case outputs.Send():
                    await self._send(output)
                case outputs.Bound(binding) | outputs.Resumed(binding) | outputs.Changed(binding):
                    self._contest(binding)
                case Dropped(reason):
                    self._drop(reason)
        self._voice.tell_step(client, said)
        self._end_commands(client, said)
        self._voice.tell_circumstances(client)
        self._in_step = False
        if self._phase == "Draining" and self._has_ended:
            self._inbox.close()

    @property
    def _has_ended(self) -> bool:
        return self._client is None or isinstance(self._client.state, Stopped)

    def _contest(self, binding: Binding) -> None:
        """An address that is on the interface already, and found to be somebody else's, is no good (V6-26)."""
        for lease in binding.leases:
            if isinstance(lease.asset, IPv6Address) and self._attachment.is_duplicate(lease.asset):
                self._put(inputs.Conflict(lease.asset))

    async def _send(self, output: outputs.Send) -> None:
        """A packet that does not leave is a lost packet: the machine is told, its timers run on."""
        await trio.lowlevel.checkpoint()
        port = self._attachment.port
        try:
            if port is None:
                raise OSError("there is no interface to send by")
            await port.send(output)
            self._sent += 1
        except OSError as error:
            self._drop("send-failed")
            self._put(inputs.SendFailed(error.strerror or str(error)))

    def _become(self, phase: DaemonPhase) -> None:
        if phase != self._phase:
            self._phase, self._since = phase, self._host.clock.wall()

    # Commands

    async def command(
        self, name: str, attributes: Mapping[str, str], wait: float, actor: str, cause: int = 0
    ) -> CommandEnd:
        """See Daemon. None of them takes attributes; each is about all of the client's resources."""
        if name not in COMMANDS:
            raise UnknownCommand(name)
        asked = await self._commands.receive(name, actor, cause)
        objection = self._objection(name)
        if objection:
            return await self._commands.reject(asked, objection)
        self._commands.begin(asked)
        if name in EXCHANGES:
            self._put(EXCHANGES[name])
        elif name == "start":
            self._put(Start())
        elif name == "stop":
            given_back = self._spec.given_back()
            self._put(inputs.Leave(given_back) if given_back else Stop())
        else:
            assert self._working is not None  # it runs
            self._working.start_soon(self._read_configuration, actor, asked.began)
        return await self._commands.outcome(asked, wait)

    def _objection(self, name: str) -> str:
        """Why a command cannot be, as far as it is not for the machine to say."""
        if self._phase != "Running" or self._client is None:
            return f"the client is {self._phase.lower()}"
        if self._commands.is_under_way(name):
            return f"{name} is under way already"
        stopped = isinstance(self._client.state, Stopped)
        if name in ("start", "stop") and (name == "start") is not stopped:
            return f"the client is {'stopped' if stopped else 'running'} already"
        return ""

    async def _read_configuration(self, actor: str, cause: int) -> None:
        error = await self._reload(actor, cause)
        self._commands.end("reload", error is None, error or "the configuration was read again", self._scribe.say)

    def _end_commands(self, client: Client, said: Sequence[outputs.Output]) -> None:
        """What was asked of the machine, and has come to its end with this step."""
        for output in said:
            match output:
                case outputs.Finished(command, ok, detail):
                    self._commands.end(command, ok, detail, self._scribe.say)
                case Refused(command, reason):
                    hint = f"routerctl start {self.resource}" if isinstance(client.state, Stopped) else ""
                    self._commands.end(command, False, reason, self._scribe.say, accepted=False, hint=hint)
        if isinstance(client.state, Stopped):
            self._commands.end("stop", True, "stopped", self._scribe.say)
        else:
            self._commands.end("start", True, "started", self._scribe.say)
