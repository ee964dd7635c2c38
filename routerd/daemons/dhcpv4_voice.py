"""What a DHCPv4 client says of itself: of each step its events, its status, and what is kept of its lease.

Nothing is decided here. `routerd.daemons.dhcpv4_report` has the words, the scribe writes them down in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from routerd.daemons.dhcpv4_attachment import Attachment
from routerd.daemons.dhcpv4_causes import Causes
from routerd.daemons.dhcpv4_memory import LeaseMemory
from routerd.daemons.dhcpv4_report import Circumstances, event_of, starting_status, status_of
from routerd.daemons.dhcpv4_settings import ClientSpec
from routerd.daemons.disk import FileAct
from routerd.daemons.scribe import Cause, Entry, Said, Scribe
from routerd.daemons.teller import Teller
from routerd.daemons.wall_offset import WallOffset
from routerd.events.types import Event, Status
from routerd.host import Clock
from routerd.protocols.dhcpv4 import outputs
from routerd.protocols.dhcpv4.client import Client
from routerd.protocols.dhcpv4.lease import Lease

STARTING = "Starting"
ABSENT = {"LinkAbsent": "there is no interface {}", "NoEthernet": "{} has no Ethernet address"}


def starting(spec: ClientSpec, generation: int) -> Status:
    """The status before the client has looked at its lease file in this life of routerd."""
    return starting_status(spec.resource.interface, spec.ifname, generation, STARTING)


class Voice:
    """One per run of a client. A client that ends is `muted`: it is going to be started again, and its last status
    stands meanwhile, so that its address stays (X-4)."""

    def __init__(
        self,
        spec: ClientSpec,
        clock: Clock,
        generation: Callable[[], int],
        attachment: Attachment,
        memory: LeaseMemory,
        scribe: Scribe,
        tell: Teller,
        causes: Causes,
    ) -> None:
        self._spec = spec
        self._generation = generation
        self._attachment = attachment
        self._memory = memory
        self._scribe = scribe
        self._tell = tell
        self._causes = causes
        self._offset = WallOffset(clock)
        self._applied = ""
        self._released = False
        self._status: Status | None = None
        self.muted = False
        self.last_error: str | None = None

    def wait(self, reason: str) -> None:
        """There is no interface to work on; `reason` is one of ABSENT."""
        self.last_error = ABSENT[reason].format(self._spec.ifname)
        spec = self._spec
        status = starting_status(spec.resource.interface, spec.ifname, self._generation(), reason)
        self._write([], status, because=self._causes.course.of_waiting())

    def tell_step(self, client: Client, said: Sequence[outputs.Output]) -> None:
        """What one step of the machine has come to."""
        self._note(said)
        self._causes.step()
        told = []
        for output in said:
            if isinstance(output, outputs.Entered):
                self._causes.course.entered(output.state)
            elif (event := event_of(output, self._tell)) is not None:
                told.append(self._causes.said(output, event))
        self._write(told, self._status_of(client), self._act_of(client, said), self._causes.of_step())

    def tell_circumstances(self, client: Client) -> None:
        """Say once of each address that it is on the interface; keep up with generations, and with a clock that was
        set: the instants in status and lease file have other names then."""
        lease, said = client.lease, []
        act = None if lease is None or lease.reply is None or not self._offset.has_moved() else self._keep(client)
        there = lease is not None and self._attachment.has(lease.address)
        if lease is None or not there:
            self._applied = ""
        elif self._applied != str(lease.address):
            self._applied = str(lease.address)
            said = [self._causes.applied(self._told_applied(lease), self._attachment.index, str(lease.address.ip))]
        status = self._status_of(client)
        self._write(said, status, act, said or self._because_around(client, status))

    def _told_applied(self, lease: Lease) -> Event:
        words = f"{lease.address} is on {self._spec.ifname}"
        facts: dict[str, Any] = {
            "currentAddress": lease.address.ip,
            "defaultGateway": lease.gateway or "",
            "dryRun": "false",
        }
        return self._tell("applied", "Applied", words, **facts)

    def _because_around(self, client: Client, status: Status) -> Sequence[Cause]:
        """Why the status is another one although the machine has done nothing."""
        if self._status is None or self._status.get("observedGeneration") != status.get("observedGeneration"):
            return self._causes.course.of_generation()
        lease = client.lease
        return () if lease is None else self._causes.of_address(self._attachment.index, str(lease.address.ip))

    def tell_recalled(self, events: Sequence[Event]) -> None:
        """What there is to say of an earlier life."""
        if events:
            self._scribe.say(Entry([self._causes.course.around(event) for event in events]))

    def _note(self, said: Sequence[outputs.Output]) -> None:
        for output in said:
            match output:
                case outputs.Entered(previous="Stopped"):
                    self._released = False
                case outputs.Bound() | outputs.Extended() | outputs.Changed():
                    self.last_error = None
                case outputs.Failed(_, _, detail):
                    self.last_error = detail
                case outputs.Nak(server_id, text):
                    self.last_error = f"{server_id} refused: {text}" if text else f"{server_id} refused"
                case outputs.Lost(_, reason):
                    self._released = reason == "released"
                case outputs.GatewayKnown(_, mac):
                    self._memory.gateway_mac = mac

    def _act_of(self, client: Client, said: Sequence[outputs.Output]) -> FileAct | None:
        """The lease file follows what is true after the step."""
        act: FileAct | None = None
        for output in said:
            match output:
                case outputs.Bound() | outputs.Extended() | outputs.Changed() | outputs.GatewayKnown():
                    act = self._keep(client)
                case outputs.Forget():
                    act = self._memory.forget()
        return act

    def _keep(self, client: Client) -> FileAct | None:
        if client.lease is None:
            return None
        return self._memory.keep(client.lease, type(client.state).__name__.lower())

    def _status_of(self, client: Client) -> Status:
        around = Circumstances(
            interface=self._spec.resource.interface,
            device=self._spec.ifname,
            generation=self._generation(),
            wall_offset=self._offset.ns,
            use_dns=self._spec.resource.use_dns,
            installed=client.lease is not None and self._attachment.has(client.lease.address),
            last_error=self.last_error,
        )
        return status_of(client.state, client.lease, self._released, around)

    def _write(
        self, said: Sequence[Said], status: Status, act: FileAct | None = None, because: Sequence[Cause] = ()
    ) -> None:
        if self.muted:
            status = self._status or status
        if said or act is not None or status != self._status:
            self._status = status
            self._scribe.say(Entry(said, status, act, because))
