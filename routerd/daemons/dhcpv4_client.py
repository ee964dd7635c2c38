"""The managed DHCPv4 client: one machine, its link, its ports, its lease file, and the commands it takes.

What happens to it comes in by one inbox; what its machine says goes to the ports at once and to the scribe, which
writes the lease file, then the log. It changes nothing on the host: controllers do that, from its status.
"""

from __future__ import annotations

import errno
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from routerd.api.plane import CommandEnd, DaemonPhase, Health, UnknownCommand
from routerd.daemons import lease_file
from routerd.daemons.dhcpv4_report import (
    Circumstances,
    Teller,
    crashed_status,
    event_of,
    observed_of,
    starting_status,
    status_of,
)
from routerd.daemons.dhcpv4_settings import marking_of, settings_of
from routerd.daemons.identity import client_id, device_duid
from routerd.daemons.ports import Ports
from routerd.daemons.scribe import Entry, FileAct, Scribe
from routerd.endpoints import Endpoints
from routerd.events.log import Log
from routerd.events.types import Event, Ref, Source, Status
from routerd.events.writer import Runner
from routerd.host import AddressChanged, Host, Link, LinkChanged, Notice, Resynced, Snapshot
from routerd.nurseries.driver import drive
from routerd.protocols.dhcpv4 import inputs, outputs, record
from routerd.protocols.dhcpv4.client import Client
from routerd.protocols.dhcpv4.lease import Lease, Remembered
from routerd.protocols.dhcpv4.states import Stopped
from routerd.protocols.machine import Dropped, Refused, Start, Stop
from routerd.protocols.malformed import Malformed
from routerd.resources.net import DHCPv4Client

STARTING = "Starting"
GOODBYE = 2.0
"""Seconds for a cancelled client to say its goodbye and have it written."""

BUILD_DATE = 1_780_000_000.0
"""Seconds since 1970 before which no wall clock that runs this code can be right (C4)."""

GONE = (errno.ENODEV, errno.ENXIO, errno.ENETDOWN)
"""What the system says when an interface vanishes under a socket: the host's notice of it is on its way."""

CLOCK_STEP = 10**9
"""ns by which the wall clock must have moved against the boot clock before instants are told anew."""

EXCHANGES = {"renew": inputs.Renew, "rebind": inputs.Rebind, "release": inputs.Release}
COMMANDS = (*EXCHANGES, "start", "stop", "reload")


@attrs.frozen
class ClientSpec:
    """What a client is started with; a client whose spec changes is ended and started anew."""

    resource: DHCPv4Client
    ifname: str


def starting(spec: ClientSpec, generation: int) -> Status:
    """The status before the client has looked at its lease file in this life of routerd."""
    return starting_status(spec.resource.interface, spec.ifname, generation, STARTING)


@attrs.define
class _Asked:
    """A command under way; `actor` asked for it, `began` is the id of the event that says so."""

    began: int
    actor: str
    ended: trio.Event = attrs.field(factory=trio.Event)
    end: CommandEnd | None = None


class DHCPv4Daemon:
    """See the module; the public face is `routerd.api.plane.Daemon`."""

    api_version = "net.routerd.net/v1alpha1"
    resource_kind = "DHCPv4Client"
    directory = "dhcpv4-client"
    kind = "routerd-dhcpv4-client"

    def __init__(
        self,
        name: str,
        spec: ClientSpec,
        *,
        host: Host,
        endpoints: Endpoints,
        log: Log,
        state_dir: Path,
        generation: Callable[[], int],
        reload: Callable[[], Awaitable[str | None]],
        run_sync: Runner = trio.to_thread.run_sync,
        rng: random.Random,
    ) -> None:
        self.source = Source(f"{self.kind}-{name}", self.kind, name)
        self.resource = Ref("DHCPv4Client", name, self.api_version)
        self._spec = spec
        self._host = host
        self._endpoints = endpoints
        self._log = log
        self._lease_path = state_dir / self.directory / name / "lease.json"
        self._state_dir = state_dir
        self._generation = generation
        self._reload = reload
        self._run_sync = run_sync
        self._rng = rng
        self._tell = Teller(self.resource, self.source)
        self._phase: DaemonPhase = "Starting"
        self._since = host.clock.wall()
        self._dropped: Counter[str] = Counter()
        self._asked: dict[str, _Asked] = {}
        self._stepped = trio.Event()
        self._for_good = False
        self._begin()

    def _begin(self) -> None:
        """Everything that one run owns and the next must not inherit."""
        self._client: Client | None = None
        self._client_id = b""
        self._link: Link | None = None
        self._ports: Ports | None = None
        self._gateway_mac: bytes | None = None
        self._wall_offset = 0
        self._held: set[str] = set()
        self._applied = ""
        self._last_error: str | None = None
        self._released = False
        self._status: Status | None = None
        self._inbox, self._inputs = trio.open_memory_channel[object](math.inf)
        self._scribe = Scribe(self._log, self.resource, self._run_sync)

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
        return None if self._phase == "Running" else f"{self._phase}: {self._last_error or 'not yet running'}"

    @property
    def observed(self) -> Mapping[str, str]:
        """See Daemon."""
        stored = self._log.objects.get(self.resource)
        return observed_of(stored.status if stored else {}, self._dropped)

    async def crashed(self, error: str, crashes: int, delay: float) -> None:
        """The supervisor's word: phase Error until it runs again (the lease stays in use: X-4)."""
        self._become("Blocked")
        self._last_error = error
        stored = self._log.objects.get(self.resource)
        if stored is not None:
            await self._log.append(status={self.resource: crashed_status(stored.status, error, self._generation())})

    # The life

    async def run(self) -> None:
        """Run until cancelled; then say goodbye: a packet if the operator wants the lease released, and the last
        events. Raises what is our own fault, for the supervisor."""
        self._begin()
        async with trio.open_nursery() as nursery:
            life = trio.CancelScope(shield=True)
            ended = trio.Event()
            nursery.start_soon(self._live, life, ended)
            try:
                await ended.wait()
            finally:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + GOODBYE):
                    self._end()
                    await ended.wait()
                life.cancel()

    def leave_for_good(self) -> None:
        """The client was removed from the configuration: its end, which follows, is more than a restart (V4-33)."""
        self._for_good = True

    def _end(self) -> None:
        """Nothing more comes in after the Stop; the driver ends when it has taken it."""
        self._become("Draining")
        self._inbox.send_nowait(Stop(release=self._for_good and self._spec.resource.release_on_stop))
        self._inbox.close()

    async def _live(self, life: trio.CancelScope, ended: trio.Event) -> None:
        try:
            with life:
                async with trio.open_nursery() as writing:
                    writing.start_soon(self._scribe.run)
                    async with trio.open_nursery() as working:
                        await self._work(working)
                        working.cancel_scope.cancel()
                    self._abandon()
                    self._scribe.say(Entry([self._lifecycle("stopped", "the client ends; its lease stays")]))
                    self._scribe.close()
        finally:
            self._become("Stopped" if life.cancel_called or self._phase == "Draining" else "Blocked")
            ended.set()

    async def _work(self, working: trio.Nursery) -> None:
        async with self._host.watch() as notices:
            self._scribe.say(Entry([self._lifecycle("started", f"DHCPv4 client for {self._spec.ifname}")], begins=True))
            link = await self._first_link(notices)
            if link is None:
                return
            await self._wake(link)
            working.start_soon(self._watch, notices, working)
            await self._attach(link, working)
            self._become("Running")
            self._scribe.say(Entry([self._lifecycle("ready", f"listening on {link.name}")]))
            assert self._client is not None
            await drive(self._client, self._inputs, self._perform, self._host.clock)

    async def _first_link(self, notices: trio.MemoryReceiveChannel[Notice]) -> Link | None:
        """Wait until our interface exists: its MAC may be part of who we are. None when we shall end before."""
        found: list[Link] = []

        async def look(scope: trio.CancelScope) -> None:
            async for notice in notices:
                self._note_addresses(notice)
                link = _link_in(notice, self._spec.ifname)
                if link is not None:
                    found.append(link)
                    scope.cancel()
                elif self._status is None:
                    self._write([], self._waiting("LinkAbsent"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look, nursery.cancel_scope)
            await self._inputs.receive()  # only a Stop can come before there is a machine
            nursery.cancel_scope.cancel()
        return found[0] if found else None

    async def _wake(self, link: Link) -> None:
        """Find out who we are and what we had, and make the machine."""
        duid, trouble = await self._run_sync(device_duid, self._state_dir, link.mac)
        spec = self._spec.resource
        said = [self._tell("identity.changed", "DuidUnusable", trouble, "warning")] if trouble else []
        self._client_id = client_id(spec, self.resource.name, link.mac, duid)
        remembered, told = await self._recall()
        self._gateway_mac = remembered.gateway_mac if remembered is not None else None
        self._client = Client(settings_of(spec, self._client_id), self._rng, remembered)
        if said or told:
            self._scribe.say(Entry([*said, *told]))

    async def _recall(self) -> tuple[Remembered | None, list[Event]]:
        """The lease of an earlier life, if its file is whole and its lease is not over (C4, C5)."""
        try:
            data = await self._run_sync(lease_file.read, self._lease_path)
        except OSError as error:
            return None, [self._unreadable(str(error.strerror))]
        if data is None:
            return None, []
        kept = record.load(data)
        if isinstance(kept, Malformed):
            return None, [self._unreadable(kept.reason)]
        clock = self._host.clock
        remembered = record.revive(
            kept, boot_id=clock.boot_id, now=clock.now(), wall=clock.wall() / 1e9, build_date=BUILD_DATE
        )
        if isinstance(remembered, Malformed):
            words = f"the lease of {kept.lease.address} from before ran out while routerd was down"
            return None, [self._tell("lease.expired", "LeaseExpired", words, "warning", address=kept.lease.address.ip)]
        return remembered, []

    def _unreadable(self, reason: str) -> Event:
        words = f"{self._lease_path} is not used: {reason}"
        return self._tell("lease.unreadable", "LeaseFileUnusable", words, "warning", cause=reason)

    def _waiting(self, reason: str) -> Status:
        spec = self._spec
        return starting_status(spec.resource.interface, spec.ifname, self._generation(), reason)

    def _lifecycle(self, word: str, message: str) -> Event:
        topic = f"routerd.daemon.lifecycle.{word}"
        return Event(topic, "info", word.capitalize(), message, self.resource, self.source)

    # The link

    async def _watch(self, notices: trio.MemoryReceiveChannel[Notice], working: trio.Nursery) -> None:
        async for notice in notices:
            self._note_addresses(notice)
            match notice:
                case LinkChanged(before, after):
                    await self._relink(before, after, working)
                case Resynced(snapshot):
                    await self._resync(snapshot, working)
            self._tell_applied()

    async def _relink(self, before: Link | None, after: Link | None, working: trio.Nursery) -> None:
        ours = self._link
        if ours is not None and before is not None and before.index == ours.index:
            if after is None or after.name != self._spec.ifname:
                await self._detach()
            elif after != ours:
                await self._attach(after, working)
        elif after is not None and after.name == self._spec.ifname:
            await self._attach(after, working)

    async def _resync(self, snapshot: Snapshot, working: trio.Nursery) -> None:
        link = snapshot.link(self._spec.ifname)
        if link is None:
            await self._detach()
        elif link != self._link:
            await self._attach(link, working)

    async def _attach(self, link: Link, working: trio.Nursery) -> None:
        """The link is there, or is different: new ports for a new identity, then tell the machine."""
        before, self._link = self._link, link
        if before is None or (before.index, before.mac) != (link.index, link.mac) or self._ports is None:
            await self._open_ports(link, working)
        if before is not None and _seen(before) == _seen(link):
            return
        if link.carrier:
            self._put(inputs.LinkUp(link.index, link.mac, link.mtu, link.arp))
        elif before is None or before.carrier:
            self._put(inputs.LinkDown())

    async def _detach(self) -> None:
        if self._link is None:
            return
        self._link = None
        self._close_ports()
        self._put(inputs.LinkGone())

    async def _open_ports(self, link: Link, working: trio.Nursery) -> None:
        """Ports live beside the driver. If the link vanishes under them its notice is on the way; if we may not
        open them the client is of no use, and its supervisor says so."""
        self._close_ports()
        marking = marking_of(self._spec.resource)
        ports = Ports(self._endpoints, link, marking, self._deliver, self._drop)
        try:
            await working.start(ports.run)
        except OSError as error:
            if error.errno not in GONE:
                raise
            return
        self._ports = ports

    def _close_ports(self) -> None:
        if self._ports is not None:
            self._ports.close()
            self._ports = None

    async def _deliver(self, event: inputs.Input) -> None:
        self._put(event)

    def _put(self, event: inputs.Input) -> None:
        """The link and its peers go on while we end; after the Stop nothing more comes in."""
        with suppress(trio.ClosedResourceError):
            self._inbox.send_nowait(event)

    def _drop(self, reason: str) -> None:
        self._dropped[reason] += 1

    def _note_addresses(self, notice: Notice) -> None:
        """Keep in mind which addresses our link has: `AddressInstalled` says what is, not what we wish."""
        match notice:
            case Resynced(snapshot):
                link = snapshot.link(self._spec.ifname)
                self._held = {str(a.address) for a in snapshot.addresses if link is not None and a.link == link.index}
            case LinkChanged(before, after) if self._link is not None and before is not None:
                if before.index == self._link.index and after is None:
                    self._held = set()
            case AddressChanged(address, present) if self._link is not None and address.link == self._link.index:
                (self._held.add if present else self._held.discard)(str(address.address))

    @property
    def _installed(self) -> bool:
        lease = self._client.lease if self._client is not None else None
        return lease is not None and str(lease.address) in self._held

    def _tell_applied(self) -> None:
        """Say once of each address that it is on the interface."""
        if self._client is None:
            return
        lease, events = self._client.lease, []
        if not self._installed:
            self._applied = ""
        elif lease is not None and self._applied != str(lease.address):
            self._applied = str(lease.address)
            words = f"{lease.address} is on {self._spec.ifname}"
            facts: dict[str, Any] = {
                "currentAddress": lease.address.ip,
                "defaultGateway": lease.gateway or "",
                "dryRun": "false",
            }
            events = [self._tell("applied", "Applied", words, **facts)]
        self._write(events, self._present_status())

    def refresh(self) -> None:
        """The configuration's generation has changed and this client has not: say so in the status."""
        if self._client is not None:
            self._write([], self._present_status())

    # What the machine says

    async def _perform(self, said: Sequence[outputs.Output]) -> None:
        """One step of the machine: packets leave at once, everything else is written.

        What is to be written is said before anything here waits: who looks at our status meanwhile must not tell of
        the step before the step does, lease file and events first.
        """
        assert self._client is not None
        self._note(said)
        events = [event for output in said if (event := event_of(output, self._tell)) is not None]
        self._write(events, self._present_status(), self._file_act(said))
        await self._listen()
        for output in said:
            match output:
                case outputs.Send() | outputs.SendArp():
                    await self._send(output)
                case Dropped(reason):
                    self._dropped[reason] += 1
        for output in said:
            match output:
                case outputs.Finished(command, ok, detail):
                    self._answer(command, True, ok, detail)
                case Refused(command, reason):
                    self._answer(command, False, False, reason)
        self._tell_applied()
        self._stepped.set()
        self._stepped = trio.Event()

    async def _listen(self) -> None:
        if self._ports is None or self._client is None:
            return
        try:
            await self._ports.listen(self._client.listens)
        except OSError as error:
            self._last_error = f"cannot listen on {self._spec.ifname}: {error.strerror or error}"

    async def _send(self, output: outputs.Send | outputs.SendArp) -> None:
        """A packet that does not leave is a lost packet (V4-31, V4-39): the machine is told, its timers run on."""
        try:
            if self._ports is None:
                raise OSError("there is no interface to send by")
            await (self._ports.send(output) if isinstance(output, outputs.Send) else self._ports.send_arp(output))
        except OSError as error:
            self._dropped["send-failed"] += 1
            if isinstance(output, outputs.Send) and self._phase == "Running":
                self._inbox.send_nowait(inputs.SendFailed(error.strerror or str(error)))

    def _note(self, said: Sequence[outputs.Output]) -> None:
        """What the outputs change in what we say of ourselves."""
        for output in said:
            match output:
                case outputs.Bound() | outputs.Extended() | outputs.Changed():
                    self._last_error = None
                    self._released = False
                case outputs.Failed(_, _, detail):
                    self._last_error = detail
                case outputs.Nak(server_id, text):
                    self._last_error = f"{server_id} refused: {text}" if text else f"{server_id} refused"
                case outputs.Lost(_, reason):
                    self._released = reason == "released"
                case outputs.GatewayKnown(_, mac):
                    self._gateway_mac = mac

    def _file_act(self, said: Sequence[outputs.Output]) -> FileAct | None:
        """The lease file follows what is true after the step."""
        act: FileAct | None = None
        for output in said:
            match output:
                case outputs.Bound(lease) | outputs.Extended(lease) | outputs.Changed(lease):
                    act = partial(lease_file.save, self._lease_path, self._record(lease))
                case outputs.GatewayKnown() if self._client is not None and self._client.lease is not None:
                    act = partial(lease_file.save, self._lease_path, self._record(self._client.lease))
                case outputs.Forget():
                    act = partial(lease_file.remove, self._lease_path)
        return act

    def _record(self, lease: Lease) -> bytes:
        clock = self._host.clock
        assert self._client is not None
        return record.dump(
            record.LeaseRecord(
                resource=self.resource.name,
                interface=self._spec.ifname,
                state=type(self._client.state).__name__.lower(),
                lease=lease,
                client_id=self._client_id,
                boot_id=clock.boot_id,
                boottime=clock.now(),
                wall=clock.wall() / 1e9,
                gateway_mac=self._gateway_mac,
            )
        )

    def _present_status(self) -> Status:
        assert self._client is not None
        offset = self._host.clock.wall() - round(self._host.clock.now() * 1e9)
        if abs(offset - self._wall_offset) > CLOCK_STEP:  # else two readings of one moment would differ
            self._wall_offset = offset
        around = Circumstances(
            interface=self._spec.resource.interface,
            device=self._spec.ifname,
            generation=self._generation(),
            wall_offset=self._wall_offset,
            use_dns=self._spec.resource.use_dns,
            installed=self._installed,
            last_error=self._last_error,
        )
        return status_of(self._client.state, self._client.lease, self._released, around)

    def _write(self, events: Sequence[Event], status: Status, act: FileAct | None = None) -> None:
        """A client that is going to be started again says nothing new of itself: its address stays meanwhile (X-4)."""
        if self._phase == "Draining":
            status = self._status or status
        if events or act is not None or status != self._status:
            self._status = status
            self._scribe.say(Entry(events, status, act))

    def _become(self, phase: DaemonPhase) -> None:
        if phase != self._phase:
            self._phase, self._since = phase, self._host.clock.wall()

    # Commands

    async def command(self, name: str, attributes: Mapping[str, str], wait: float, actor: str) -> CommandEnd:
        """See Daemon. None of them takes attributes."""
        if name not in COMMANDS:
            raise UnknownCommand(name)
        event = self._command_event(name, "received", "CommandReceived", f"{name} was asked for", actor)
        asked = _Asked((await self._log.append(event))[0], actor)
        if self._phase != "Running" or self._client is None:
            reason = f"the client is {self._phase.lower()}"
        elif name in self._asked:
            reason = f"{name} is under way already"
        else:
            self._asked[name] = asked
            reason = await self._ask(name, self._client)
        if reason:
            self._answer(name, False, False, reason, asked)
        with trio.move_on_after(wait):
            await asked.ended.wait()
        return asked.end or CommandEnd(True, f"{name} goes on", asked.began, pending=True)

    async def _ask(self, name: str, client: Client) -> str:
        """Begin a command; returns why it cannot be, or nothing."""
        if name in EXCHANGES:
            self._inbox.send_nowait(EXCHANGES[name]())
            return ""
        if name == "reload":
            error = await self._reload()
            self._answer(name, True, error is None, error or "the configuration was read again")
            return ""
        stopped = isinstance(client.state, Stopped)
        if (name == "start") is not stopped:
            return f"the client is {'stopped' if stopped else 'running'} already"
        self._inbox.send_nowait(Start() if name == "start" else Stop(release=self._spec.resource.release_on_stop))
        while isinstance(client.state, Stopped) is stopped:
            await self._stepped.wait()
        self._answer(name, True, True, "started" if name == "start" else "stopped")
        return ""

    def _answer(self, name: str, accepted: bool, ok: bool, message: str, asked: _Asked | None = None) -> None:
        """A command has ended: write that down, then let its caller go with the id of the event that says so."""
        asked = asked or self._asked.get(name)
        if asked is None:
            return
        if self._asked.get(name) is asked:
            del self._asked[name]
        word, reason = ("executed", "CommandExecuted") if accepted else ("rejected", "CommandRejected")
        event = self._command_event(name, word, reason, message, asked.actor, asked.began, ok)

        def wrote(ids: Sequence[int]) -> None:
            succeeded = ok if accepted else None
            asked.end = CommandEnd(accepted, message, ids[-1] if ids else asked.began, succeeded=succeeded)
            asked.ended.set()

        self._scribe.say(Entry([event], wrote=wrote))

    def _abandon(self) -> None:
        """The client ends: so does everything that was asked of it."""
        for name in list(self._asked):
            self._answer(name, True, False, "the client ended before the exchange did")

    def _command_event(
        self, name: str, word: str, reason: str, message: str, actor: str, cause: int = 0, ok: bool = True
    ) -> Event:
        return Event(
            f"routerd.daemon.command.{word}",
            "info" if ok else "warning",
            reason,
            message,
            self.resource,
            self.source,
            {"command": name},
            causes=(cause,) if cause else (),
            actor=actor,
        )


def _seen(link: Link) -> tuple[object, ...]:
    """What of a link concerns a client."""
    return link.index, link.mac, link.mtu, link.carrier, link.arp


def _link_in(notice: Notice, name: str) -> Link | None:
    match notice:
        case Resynced(snapshot):
            return snapshot.link(name)
        case LinkChanged(_, after) if after is not None and after.name == name:
            return after
    return None
