"""What a DHCPv6 client says of itself: of each step its events, the statuses of its resources, and what is kept.

Nothing is decided here. `routerd.daemons.dhcpv6_report` has the words, the scribe writes them down in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv6Address

from routerd.daemons.dhcpv6_attachment import Attachment
from routerd.daemons.dhcpv6_causes import Causes
from routerd.daemons.dhcpv6_memory import LeaseMemory, Recalled
from routerd.daemons.dhcpv6_report import event_of, offered, reply_of
from routerd.daemons.dhcpv6_settings import ClientSpec
from routerd.daemons.dhcpv6_status import Circumstances, starting_status, status_of, word_of
from routerd.daemons.disk import FileAct
from routerd.daemons.scribe import Cause, Entry, Said, Scribe, Told
from routerd.daemons.teller import Teller
from routerd.daemons.wall_offset import WallOffset
from routerd.events.types import Ref, Status
from routerd.host import Clock
from routerd.protocols.dhcpv6 import outputs
from routerd.protocols.dhcpv6.association import Association, Kind
from routerd.protocols.dhcpv6.client import Client
from routerd.protocols.dhcpv6.memory import Memory

STARTING = "Starting"


def starting(spec: ClientSpec, generation: int, reason: str = STARTING) -> dict[Ref, Status]:
    """The statuses before the client has looked at its lease file in this life of routerd."""
    return {part.ref: starting_status(part, spec.interface, spec.ifname, generation, reason) for part in spec.parts}


class Voice:
    """One per run of a client. A client that ends is going to be started again: what it has to say of resources that
    are `muted` is nothing, so that their last statuses stand meanwhile, and their leases stay in use (X-4)."""

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
        self._released = False
        self._offered: dict[Association, int] = {}
        self._kept: Memory | None = Memory()
        """What the file has; None: it is not there yet."""
        self._statuses: dict[Ref, Status] = {}
        self.muted: frozenset[Ref] = frozenset()
        self.last_error: str | None = None

    def wait(self, reason: str) -> None:
        """There is no interface to work on."""
        self.last_error = f"there is no interface {self._spec.ifname}"
        because = self._causes.course.of_waiting()
        self._write([], starting(self._spec, self._generation(), reason), lambda ref: because)

    def tell_step(self, client: Client, said: Sequence[outputs.Output]) -> None:
        """What one step of the machine has come to."""
        self._note(said)
        self._causes.step()
        reply = reply_of(said, self._tell)
        told = [] if reply is None else [self._causes.replied(reply)]
        for output in said:
            if isinstance(output, outputs.Entered):
                self._causes.course.entered(output.state)
            elif (event := event_of(output, self._tell)) is not None:
                told.append(self._causes.said(output, event))
        self._write(told, self._statuses_of(client), self._causes.of_step, self._act_of(client, said))

    def tell_circumstances(self, client: Client) -> None:
        """Keep up with the addresses of the interface, with generations, and with a clock that was set: the instants
        in statuses and lease file have other names then."""
        act = self._keep(client) if self._offset.has_moved() and client.bindings else None
        self._write([], self._statuses_of(client), self._because_around, act)

    def _because_around(self, ref: Ref) -> Sequence[Cause]:
        """Why a status is another one although the machine has done nothing."""
        before = self._statuses.get(ref)
        if before is None or before.get("observedGeneration") != self._generation():
            return self._causes.course.of_generation()
        address = before.get("currentAddress")
        if address is None:
            return self._causes.course.of_waiting()
        return self._causes.of_address(ref, self._attachment.index, address)

    def tell_recalled(self, recalled: Recalled) -> None:
        """What there is to say of an earlier life."""
        if recalled.remembered is not None:
            self._kept = None if recalled.moved else recalled.remembered
        if recalled.said:
            self._scribe.say(Entry([self._causes.course.around(event) for event in recalled.said]))

    def _note(self, said: Sequence[outputs.Output]) -> None:
        for output in said:
            match output:
                case outputs.Entered(previous="Stopped"):
                    self._released = False
                case outputs.Bound() | outputs.Extended() | outputs.Changed() | outputs.Informed(server_id=bytes()):
                    self.last_error = None
                case outputs.Failed(_, _, detail):
                    self.last_error = detail
                case outputs.Refusal(server_id, about, status):
                    self.last_error = f"{server_id.hex(':')} refused {about or 'all'}: {status.text or status.word}"
                case outputs.Lost(_, _, reason):
                    self._released = reason == "released"
                case outputs.Advertised(message):
                    for ia in offered(message):
                        if ia.association.kind is Kind.PD and ia.grants:
                            self._offered[ia.association] = ia.grants[0].asset.prefixlen  # type: ignore[union-attr]

    def _act_of(self, client: Client, said: Sequence[outputs.Output]) -> FileAct | None:
        """The lease file follows what is true after the step."""
        if client.memory == self._kept:
            return None
        if any(isinstance(output, outputs.Forget) for output in said) and not client.bindings:
            self._kept = client.memory
            return self._memory.forget()
        return self._keep(client)

    def _keep(self, client: Client) -> FileAct:
        self._kept = memory = client.memory
        return self._memory.keep(memory, word_of(client.state), self.last_error)

    def _statuses_of(self, client: Client) -> Mapping[Ref, Status]:
        leased = {lease.asset for binding in client.bindings.values() for lease in binding.leases}
        around = Circumstances(
            interface=self._spec.interface,
            device=self._spec.ifname,
            generation=self._generation(),
            wall_offset=self._offset.ns,
            duid=self._memory.duid,
            released=self._released,
            obstacle=self._attachment.obstacle,
            installed=frozenset(a for a in leased if isinstance(a, IPv6Address) and self._attachment.has(a)),
            offered_lengths=self._offered,
            last_error=self.last_error,
        )
        return {part.ref: status_of(part, client, around) for part in self._spec.parts}

    def _write(
        self,
        said: Sequence[Said],
        statuses: Mapping[Ref, Status],
        because: Callable[[Ref], Sequence[Cause]],
        act: FileAct | None = None,
    ) -> None:
        """What has changed of it."""
        told = {
            ref: Told(status, because(ref))
            for ref, status in statuses.items()
            if ref not in self.muted and status != self._statuses.get(ref)
        }
        if said or act is not None or told:
            self._statuses |= {ref: one.status for ref, one in told.items()}
            self._scribe.say(Entry(said, act=act, others=told))
