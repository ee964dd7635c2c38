"""What a DHCPv4 client says of itself: of each step its events, its status, and what is kept of its lease.

Nothing is decided here. `routerd.daemons.dhcpv4_report` has the words, the scribe writes them down in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from routerd.daemons.attachment import Attachment
from routerd.daemons.dhcpv4_report import Circumstances, Teller, event_of, starting_status, status_of
from routerd.daemons.dhcpv4_settings import ClientSpec
from routerd.daemons.lease_memory import LeaseMemory
from routerd.daemons.scribe import Entry, FileAct, Scribe
from routerd.events.types import Event, Status
from routerd.host import Clock
from routerd.protocols.dhcpv4 import outputs
from routerd.protocols.dhcpv4.client import Client

STARTING = "Starting"
ABSENT = {"LinkAbsent": "there is no interface {}", "NoEthernet": "{} has no Ethernet address"}

CLOCK_STEP = 10**9
"""ns by which the wall clock must have moved against the boot clock before instants are told anew."""


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
    ) -> None:
        self._spec = spec
        self._clock = clock
        self._generation = generation
        self._attachment = attachment
        self._memory = memory
        self._scribe = scribe
        self._tell = tell
        self._offset = self._present_offset()
        self._applied = ""
        self._released = False
        self._status: Status | None = None
        self.muted = False
        self.last_error: str | None = None

    def wait(self, reason: str) -> None:
        """There is no interface to work on; `reason` is one of ABSENT."""
        self.last_error = ABSENT[reason].format(self._spec.ifname)
        spec = self._spec
        self._write([], starting_status(spec.resource.interface, spec.ifname, self._generation(), reason))

    def tell_step(self, client: Client, said: Sequence[outputs.Output]) -> None:
        """What one step of the machine has come to."""
        self._note(said)
        events = [event for output in said if (event := event_of(output, self._tell)) is not None]
        self._write(events, self._status_of(client), self._act_of(client, said))

    def tell_circumstances(self, client: Client) -> None:
        """Say once of each address that it is on the interface; keep up with generations, and with a clock that was
        set: the instants in status and lease file have other names then."""
        lease, events = client.lease, []
        act = None if lease is None or lease.reply is None or not self._clock_was_set() else self._keep(client)
        if lease is None or not self._attachment.has(lease.address):
            self._applied = ""
        elif self._applied != str(lease.address):
            self._applied = str(lease.address)
            words = f"{lease.address} is on {self._spec.ifname}"
            facts: dict[str, Any] = {
                "currentAddress": lease.address.ip,
                "defaultGateway": lease.gateway or "",
                "dryRun": "false",
            }
            events = [self._tell("applied", "Applied", words, **facts)]
        self._write(events, self._status_of(client), act)

    def tell_first_drop(self, reason: str) -> None:
        """The first packet that is ignored for this reason; the others are only counted."""
        words = f"the first packet that is ignored for this: {reason}"
        self._scribe.say(Entry([self._tell("packet.dropped", "PacketDropped", words, "debug", cause=reason)]))

    def tell_lifecycle(self, word: str, message: str, *, begins: bool = False) -> None:
        """`started`, `ready` or `stopped`."""
        topic = f"routerd.daemon.lifecycle.{word}"
        event = Event(topic, "info", word.capitalize(), message, self._tell.resource, self._tell.source)
        self._scribe.say(Entry([event], begins=begins))

    def _note(self, said: Sequence[outputs.Output]) -> None:
        for output in said:
            match output:
                case outputs.Bound() | outputs.Extended() | outputs.Changed():
                    self.last_error = None
                    self._released = False
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
            wall_offset=self._offset,
            use_dns=self._spec.resource.use_dns,
            installed=client.lease is not None and self._attachment.has(client.lease.address),
            last_error=self.last_error,
        )
        return status_of(client.state, client.lease, self._released, around)

    def _clock_was_set(self) -> bool:
        """Whether wall clock and boot clock have gone apart. Two readings of one moment differ a little, always."""
        before, now = self._offset, self._present_offset()
        if abs(now - before) <= CLOCK_STEP:
            return False
        self._offset = now
        return True

    def _present_offset(self) -> int:
        return self._clock.wall() - round(self._clock.now() * 1e9)

    def _write(self, events: Sequence[Event], status: Status, act: FileAct | None = None) -> None:
        if self.muted:
            status = self._status or status
        if events or act is not None or status != self._status:
            self._status = status
            self._scribe.say(Entry(events, status, act))
