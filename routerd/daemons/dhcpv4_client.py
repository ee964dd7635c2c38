"""The managed DHCPv4 client: one machine, how it hangs on its interface, what it remembers, the commands it takes.

What happens to it comes in by one inbox; what its machine says goes to the ports at once and to the scribe, which
writes the lease file, then the log. It changes nothing on the host: controllers do that, from its status.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import trio

from routerd.api.plane import CommandEnd, DaemonPhase, Health, Packets, UnknownCommand
from routerd.daemons.attachment import Attachment
from routerd.daemons.commands import Commands
from routerd.daemons.dhcpv4_causes import Causes
from routerd.daemons.dhcpv4_report import Teller, crashed_status, observed_of
from routerd.daemons.dhcpv4_settings import DIRECTORY, KIND, ClientSpec, marking_of, settings_of
from routerd.daemons.dhcpv4_voice import Voice
from routerd.daemons.lease_memory import LeaseMemory
from routerd.daemons.lifetime import GOODBYE, Lifetime
from routerd.daemons.scribe import Scribe
from routerd.endpoints import Endpoints
from routerd.events.incidents import Incidents
from routerd.events.log import Log
from routerd.events.types import Ref, Source
from routerd.events.writer import Runner
from routerd.host import Host, Link, Notice
from routerd.nurseries.driver import drive
from routerd.protocols.dhcpv4 import inputs, outputs
from routerd.protocols.dhcpv4.client import Client
from routerd.protocols.dhcpv4.states import Stopped
from routerd.protocols.machine import Dropped, Refused, Start, Stop

INBOX = 256
"""Packets that wait for the machine; what comes beyond is dropped (C17), as a socket's buffer does it."""

EXCHANGES: Mapping[str, inputs.Input] = {
    "renew": inputs.Renew(),
    "rebind": inputs.Rebind(),
    "release": inputs.Release(),
}
COMMANDS = (*EXCHANGES, "start", "stop", "reload")


class DHCPv4Daemon:
    """See the module; the public face is `routerd.api.plane.Daemon`."""

    api_version = "net.routerd.net/v1alpha1"
    resource_kind = "DHCPv4Client"
    directory = DIRECTORY
    kind = KIND

    def __init__(
        self,
        name: str,
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
        self.source = Source(f"{self.kind}-{name}", self.kind, name)
        self.resource = Ref("DHCPv4Client", name, self.api_version)
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
        self._tell = Teller(self.resource, self.source)
        path = state_dir / self.directory / name / "lease.json"
        self._memory = LeaseMemory(spec.resource, spec.ifname, state_dir, path, host.clock, run_sync, self._tell)
        self._commands = Commands(log, self.resource, self.source)
        self._phase: DaemonPhase = "Starting"
        self._since = host.clock.wall()
        self._sent, self._received = 0, 0
        self._dropped: Counter[str] = Counter()
        self._for_good = False
        self._begin()

    def _begin(self) -> None:
        """Everything that one run owns and the next must not inherit."""
        spec, put, drop = self._spec, self._put, self._drop
        self._inbox, self._inputs = trio.open_memory_channel[inputs.Input | Start | Stop](math.inf)
        self._scribe = Scribe(self._log, self.resource, self._run_sync)
        self._lifetime = Lifetime(self._scribe)
        marking = marking_of(spec.resource)
        self._attachment = Attachment(spec.ifname, self._endpoints, marking, put, self._deliver, drop)
        clock, command = self._host.clock, self._commands.began
        causes = Causes(spec.ifname, self._incidents, lambda: max(self._began(), self._crashed), command)
        self._voice = Voice(
            spec, clock, self._generation, self._attachment, self._memory, self._scribe, self._tell, causes
        )
        self._client: Client | None = None
        self._working: trio.Nursery | None = None
        self._absent = ""
        self._in_step = True

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
        """ok with a lease; degraded while acquiring or without a link; failed while crashing."""
        if self._phase != "Running":
            return "failed" if self._phase == "Blocked" else "unknown"
        return "ok" if self._client is not None and self._client.lease is not None else "degraded"

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
        stored = self._log.objects.get(self.resource)
        unwritten = {"events": self._scribe.dropped} if self._scribe.dropped else {}
        return observed_of(stored.status if stored else {}, {**self._dropped, **unwritten})

    @property
    def packets(self) -> Packets:
        """See Daemon. A packet that was no DHCP or ARP at all is dropped, and not received."""
        return Packets(self._sent, self._received, dict(self._dropped))

    async def crashed(self, error: str, cause: int) -> None:
        """The supervisor's word: phase Error until it runs again (the lease stays in use: X-4). `cause` is the event
        that tells of the crash."""
        self._become("Blocked")
        self._crashed = cause
        self._voice.last_error = error
        await self._commands.abandon(f"the client crashed: {error}")
        stored = self._log.objects.get(self.resource)
        if stored is not None:
            status = crashed_status(stored.status, error, self._generation())
            await self._log.append(status={self.resource: status}, because={self.resource: (cause,)})

    # The life

    async def run(self) -> None:
        """Run until cancelled; then say goodbye: a packet if the operator wants the lease released, and the last
        events. Raises what is our own fault, for the supervisor."""
        self._begin()
        self._become("Starting")
        try:
            await self._lifetime.run(self._live, self._end)
        finally:
            self._become("Stopped" if self._phase == "Draining" else "Blocked")

    def leave_for_good(self) -> None:
        """The client was removed from the configuration: its end, which follows, is more than a restart (V4-33)."""
        self._for_good = True

    def hasten(self) -> None:
        """The whole router ends: there is no time for more than a goodbye."""
        self._lifetime.hasten()

    def _end(self) -> float:
        """Nothing more comes in after the Stop; the driver ends when it has taken it. How long that may take."""
        self._become("Draining")
        self._voice.muted = True
        self._inbox.send_nowait(Stop(release=self._for_good and self._spec.resource.release_on_stop))
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

    def _wait(self, reason: str) -> None:
        self._absent = reason
        self._voice.wait(reason)

    async def _serve(self, link: Link, notices: trio.MemoryReceiveChannel[Notice], working: trio.Nursery) -> None:
        self._absent = ""
        recalled = await self._memory.recall(link.mac)
        client = Client(settings_of(self._spec.resource, recalled.client_id), self._rng, recalled.remembered)
        self._client, self._voice.last_error = client, None
        self._voice.tell_recalled(recalled.said)
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
        """Its link and its peers go on while it ends; after the Stop nothing more comes in."""
        if self._phase != "Draining":
            self._inbox.send_nowait(event)

    def _drop(self, reason: str) -> None:
        """Count what is ignored; the first of each kind is told."""
        self._dropped[reason] += 1
        if self._dropped[reason] == 1:
            self._voice.tell_first_drop(reason)

    def refresh(self) -> None:
        """Look at ourselves again: the host has changed, the clock was set, or the configuration's generation is
        another one. During a step of the machine, and before its first, the step speaks."""
        if self._absent:
            self._voice.wait(self._absent)
        elif self._client is not None and not self._in_step:
            self._voice.tell_circumstances(self._client)

    # What the machine says

    async def _perform(self, said: Sequence[outputs.Output]) -> None:
        """One step of the machine: packets leave at once, everything else is written."""
        client = self._client
        assert client is not None
        self._in_step = True
        await self._listen(client)
        for output in said:
            match output:
                case outputs.Send() | outputs.SendArp():
                    await self._send(output)
                case Dropped(reason):
                    self._drop(reason)
        self._voice.tell_step(client, said)
        self._end_commands(client, said)
        self._voice.tell_circumstances(client)
        self._in_step = False

    async def _listen(self, client: Client) -> None:
        await trio.lowlevel.checkpoint()
        if self._attachment.ports is None:
            return
        try:
            await self._attachment.ports.listen(client.listens)
        except OSError as error:
            self._voice.last_error = f"cannot listen on {self._spec.ifname}: {error.strerror or error}"

    async def _send(self, output: outputs.Send | outputs.SendArp) -> None:
        """A packet that does not leave is a lost packet (V4-31, V4-39): the machine is told, its timers run on."""
        await trio.lowlevel.checkpoint()
        ports = self._attachment.ports
        try:
            if ports is None:
                raise OSError("there is no interface to send by")
            await (ports.send(output) if isinstance(output, outputs.Send) else ports.send_arp(output))
            self._sent += 1
        except OSError as error:
            self._drop("send-failed")
            if isinstance(output, outputs.Send):
                self._put(inputs.SendFailed(error.strerror or str(error)))

    def _become(self, phase: DaemonPhase) -> None:
        if phase != self._phase:
            self._phase, self._since = phase, self._host.clock.wall()

    # Commands

    async def command(
        self, name: str, attributes: Mapping[str, str], wait: float, actor: str, cause: int = 0
    ) -> CommandEnd:
        """See Daemon. None of them takes attributes."""
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
            self._put(Stop(release=self._spec.resource.release_on_stop))
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
