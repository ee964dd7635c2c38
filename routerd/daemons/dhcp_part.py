"""What a managed DHCP client of either version is made of, as its daemon sees it (`dhcp_daemon`): what the router gives
it, what the daemon lends it for one run, and what is its protocol's own. Nothing happens here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import attrs
import trio

from routerd.daemons.commands import Commands
from routerd.daemons.dhcp_course import Course
from routerd.daemons.scribe import Scribe
from routerd.daemons.teller import Teller
from routerd.events.types import Ref, Source, Status
from routerd.host import Link, Notice
from routerd.protocols.machine import Machine

Transmit = Callable[[Any], Awaitable[None]]
"""Sends an output that is a packet."""


@attrs.frozen
class Stage:
    """What the daemon lends for one run. `put`: the machine is told something; `deliver`: a packet came; `drop`: one is
    ignored, for this reason; `course`: what the client is about."""

    put: Callable[[Any], None]
    deliver: Callable[[Any], None]
    drop: Callable[[str], None]
    scribe: Scribe
    commands: Commands
    course: Course


class Client(Machine[Any, Any], Protocol):
    """The machine."""

    @property
    def state(self) -> Any: ...


class Attachment(Protocol):
    """How it hangs on its interface."""

    async def first(self, notices: trio.MemoryReceiveChannel[Notice], wait: Callable[[str], None]) -> Link: ...
    async def attach(self, link: Link, nursery: trio.Nursery) -> None: ...
    async def follow(self, notice: Notice, nursery: trio.Nursery) -> None: ...


class Voice(Protocol):
    """What it says of itself."""

    last_error: str | None

    def wait(self, reason: str) -> None: ...
    def tell_step(self, client: Any, said: Sequence[Any]) -> None: ...
    def tell_circumstances(self, client: Any) -> None: ...


class Part(Protocol):
    """What is the protocol's own."""

    kind: str
    """Of the daemon: `routerd-dhcpv4-client`."""
    directory: str
    protocol: str
    """As topics have it: `dhcpv4`."""
    farewell: float
    """Seconds for one that gives leases back, until its servers have heard it."""
    leases: str
    """What becomes of them when it ends, in words."""
    source: Source
    resource: Ref
    ifname: str
    tell: Teller

    @property
    def refs(self) -> Sequence[Ref]:
        """All resources that it speaks for."""

    @property
    def exchanges(self) -> Mapping[str, Any]:
        """Commands that the machine understands, as its inputs."""

    @property
    def stopped(self) -> type:
        """The machine's state when it has ended."""

    @property
    def finished(self) -> type:
        """The output with which a command ends: it has `command`, `ok` and `detail`."""

    @property
    def attachment(self) -> Attachment: ...
    @property
    def voice(self) -> Voice: ...

    def begin(self, stage: Stage) -> None:
        """Make anew what one run owns, and the next must not inherit."""

    async def open(self, link: Link) -> Client:
        """The machine, with what it remembers."""

    def has_all(self, client: Any) -> bool:
        """Whether it has all that is wanted."""

    async def act(self, client: Any, said: Sequence[Any], transmit: Transmit) -> None:
        """Do what one step of the machine asks for: packets leave by `transmit`."""

    async def send(self, output: Any) -> None:
        """Put a packet on the line. Raises OSError."""

    def not_sent(self, output: Any, reason: str) -> None:
        """It did not leave."""

    def look(self, running: bool) -> None:
        """Look at what is around the interface."""

    def goodbye(self) -> Any:
        """With what the machine is ended, after which there is silence but for leases given back."""

    def stop(self) -> Any:
        """The same by command."""

    def observed(self, status: Status) -> Mapping[str, Any]:
        """What of a status is for `observed`."""
