"""A protocol machine alone on a real link, without routerd: it is told what comes in and what time it is, and what it
wants sent is sent. What it says is kept for the test to look at."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv6Address
from random import Random
from typing import Any, Generic, TypeVar

import attrs
import trio

from routerd.endpoints import Marking
from routerd.endpoints.linux import LinuxEndpoints
from routerd.protocols.dhcpv6 import inputs, outputs
from routerd.protocols.dhcpv6 import wire as dhcpv6_wire
from routerd.protocols.dhcpv6.client import Client
from routerd.protocols.dhcpv6.duid import duid_ll
from routerd.protocols.dhcpv6.memory import Memory
from routerd.protocols.dhcpv6.message import ALL_SERVERS, SERVER_PORT, Message
from routerd.protocols.dhcpv6.settings import Settings, Wanted
from routerd.protocols.machine import Start, Tick
from routerd.protocols.malformed import Malformed
from routerd.protocols.ndp import wire as ndp_wire
from routerd.protocols.ndp.link import LinkUp
from routerd.protocols.ndp.message import NdpPacket
from tests.lab.netns import Namespace

M = TypeVar("M")
T = TypeVar("T")
WITHIN = 30.0
ENDPOINTS, MARKING = LinuxEndpoints(), Marking(dscp=48)


@attrs.frozen
class Wan:
    """A link of a namespace in which the machine speaks."""

    namespace: Namespace
    name: str
    index: int
    mac: bytes
    link_local: IPv6Address


async def wan(namespace: Namespace, name: str) -> Wan:
    """The link, once it has carrier and a link-local address that is past duplicate address detection: a veth has none
    of them when `ip link set up` returns."""
    deadline = time.monotonic() + WITHIN
    while True:
        (link,) = json.loads(namespace.ip("-j", "-6", "address", "show", "dev", name) or "[{}]") or [{}]
        for info in link.get("addr_info", ()):
            if info.get("scope") == "link" and not info.get("tentative"):
                (plain,) = json.loads(namespace.ip("-j", "link", "show", "dev", name))
                mac = bytes.fromhex(plain["address"].replace(":", ""))
                return Wan(namespace, name, plain["ifindex"], mac, IPv6Address(info["local"]))
        assert time.monotonic() < deadline, f"{name} never had a link-local address"
        await trio.sleep(0.02)


@attrs.define(eq=False)
class Driven(Generic[M]):
    """A machine with a clock, an ear and a mouth. Its clock may be put forward: to a machine that is a host that slept,
    while the servers did not."""

    machine: M
    transmit: Callable[[Any], Awaitable[None]]
    said: list[Any] = attrs.field(factory=list)
    ahead: float = 0.0
    unsent: list[OSError] = attrs.field(factory=list)
    """Why packets did not leave. As in the daemon they are lost, and the timers run on."""
    _news: trio.Event = attrs.field(factory=trio.Event)

    @property
    def now(self) -> float:
        """The machine's time."""
        return time.monotonic() + self.ahead

    async def tell(self, event: object) -> None:
        """One input; what it says is sent, kept and told to who waits."""
        said = self.machine.handle(event, self.now)  # type: ignore[attr-defined]
        self.said += said
        for output in said:
            try:
                await self.transmit(output)
            except OSError as error:
                self.unsent.append(error)
        self._news.set()
        self._news = trio.Event()

    async def sleep(self, seconds: float) -> None:
        """Put the machine's clock forward, as a host that was suspended."""
        self.ahead += seconds
        await self.tell(Tick())

    async def until(self, holds: Callable[[], T], within: float = WITHIN) -> T:
        """Wait until it is so; that which was so."""
        with trio.move_on_after(within):
            while not (found := holds()):
                await self._news.wait()
            return found
        raise AssertionError(f"not within {within} s; said: {self.said[-30:]}; unsent: {self.unsent}")

    def heard(self, kind: type[T], since: int = 0) -> list[T]:
        """What it said of one kind, from its n-th word on."""
        return [output for output in self.said[since:] if isinstance(output, kind)]

    async def run(self, listen: Callable[[], Awaitable[object]]) -> None:
        """Tell it what comes in, and the time. Ends only by being cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tick)
            while True:
                if (event := await listen()) is not None:
                    await self.tell(event)

    async def _tick(self) -> None:
        while True:
            deadline: float | None = self.machine.deadline  # type: ignore[attr-defined]
            with trio.move_on_after(float("inf") if deadline is None else max(deadline - self.now, 0.0)):
                await self._news.wait()
                continue
            await self.tell(Tick())


@asynccontextmanager
async def dhcpv6(
    link: Wan, *wanted: Wanted, remembered: Memory | None = None, **settings: Any
) -> AsyncIterator[Driven[Client]]:
    """A DHCPv6 client that has been started. At the end it falls silent, as if killed."""
    chosen = Settings(duid_ll(link.mac), wanted, **settings)
    with link.namespace.entered():
        opening = ENDPOINTS.open_dhcpv6(link.index, link.name, MARKING)
        async with opening as endpoint, trio.open_nursery() as nursery:

            async def transmit(output: object) -> None:
                if isinstance(output, outputs.Send):
                    octets = dhcpv6_wire.encode(output.message)
                    await endpoint.send(octets, output.source, ALL_SERVERS, SERVER_PORT)

            async def listen() -> inputs.Received | None:
                datagram = await endpoint.receive()
                message = dhcpv6_wire.decode(datagram.payload)
                alone = not datagram.destination.is_multicast
                assert isinstance(message, Message), message
                return inputs.Received(message, datagram.source, datagram.source_port, unicast=alone)

            client = Driven(Client(chosen, Random(), remembered), transmit)
            nursery.start_soon(client.run, listen)
            await client.tell(Start())
            await client.tell(inputs.LinkUp(link.index, link.mac, link.link_local))
            yield client
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def ndp(link: Wan, machine: M) -> AsyncIterator[Driven[M]]:
    """A machine of Neighbor Discovery that has been started. At the end it falls silent, as if killed."""
    with link.namespace.entered():
        opening = ENDPOINTS.open_ndp(link.index, link.name, MARKING)
        async with opening as endpoint, trio.open_nursery() as nursery:

            async def transmit(output: object) -> None:
                if isinstance(output, NdpPacket):
                    await endpoint.send(ndp_wire.encode(output.message), output.source, output.target)

            async def listen() -> NdpPacket | None:
                came = await endpoint.receive()
                message = ndp_wire.decode(came.payload)
                assert not isinstance(message, Malformed), message
                return NdpPacket(message, came.source, came.target, came.hop_limit)

            driven = Driven(machine, transmit)
            nursery.start_soon(driven.run, listen)
            await driven.tell(Start())
            await driven.tell(LinkUp(link.link_local, link.mac))
            yield driven
            nursery.cancel_scope.cancel()
