"""What tests of the daemons share: a lease as a server granted it, clocks turned by hand, a teller, a life."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import IPv4Address

import attrs
import trio

from routerd.daemons.dhcpv4_report import TOPIC
from routerd.daemons.teller import Teller
from routerd.events.types import Ref, Source
from routerd.host import ClockStep
from routerd.nurseries.supervisor import supervise
from routerd.protocols.dhcpv4.grant import read_grant
from routerd.protocols.dhcpv4.lease import Lease
from routerd.protocols.dhcpv4.message import Message, MessageType, Op
from routerd.protocols.malformed import Malformed

WAN = Ref("DHCPv4Client", "wan")
SOURCE = Source("routerd-dhcpv4-client-wan", "routerd-dhcpv4-client", "wan")
TELL = Teller(TOPIC, WAN, SOURCE)
OWN, GATEWAY, DNS = IPv4Address("203.0.113.50"), IPv4Address("203.0.113.1"), IPv4Address("203.0.113.53")
NOON = 1_800_000_000.0
"""Seconds since 1970: some noon after the program was built."""


@asynccontextmanager
async def living(
    run: Callable[[], Awaitable[None]], crashed: Callable[[str, int, float], Awaitable[None]]
) -> AsyncIterator[Callable[[], None]]:
    """A daemon's life, supervised, until the block ends or what it gives is called: then it says goodbye."""
    scope = trio.CancelScope()

    async def live() -> None:
        with scope:
            await supervise("daemon", run, crashed)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(live)
        yield scope.cancel
        scope.cancel()


@attrs.define
class HandClock:
    """A host's clock. Turn it by hand."""

    boot_id: str = "11111111-1111-4111-8111-111111111111"
    seconds: float = 1000.0
    since_1970: float = NOON

    def now(self) -> float:
        return self.seconds

    def wall(self) -> int:
        return round(self.since_1970 * 1e9)

    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds
        self.since_1970 += seconds

    async def sleep_until(self, deadline: float) -> None:
        raise AssertionError("nobody sleeps here")

    def steps(self) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[ClockStep]]:
        raise AssertionError("nobody asks here")


def granted(now: float = 1000.0, options: dict[int, bytes] | None = None) -> Lease:
    """A lease of an hour, from a real message."""
    basis = {
        1: bytes((255, 255, 255, 0)),
        3: GATEWAY.packed,
        6: DNS.packed,
        15: b"isp.example",
        51: (3600).to_bytes(4),
        54: GATEWAY.packed,
        90: b"the secret of the line",
    }
    message = Message(Op.BOOTREPLY, MessageType.ACK, 7, bytes(6), yiaddr=OWN, options=basis | (options or {}))
    lease = read_grant(message, sent_at=now, rng=random.Random(0), link_mtu=1500)
    assert not isinstance(lease, Malformed)
    return lease
