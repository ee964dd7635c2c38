"""What a step of a client comes to is seen in order, whatever else goes on while the step is carried out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import attrs
import trio
from trio.testing import MockClock

from routerd.endpoints import DatagramEndpoint, Endpoints, Marking, PacketEndpoint, Tap
from tests.router.rig import CLIENT, WAN, Rig, document, until


@attrs.frozen
class SlowArp:
    """Endpoints of which the ARP tap takes a second to open, as on a busy machine; `opening` says when it does."""

    endpoints: Endpoints
    opening: trio.Event = attrs.field(factory=trio.Event)

    @asynccontextmanager
    async def open_packet(self, index: int, name: str, tap: Tap, marking: Marking) -> AsyncIterator[PacketEndpoint]:
        if tap == "arp":
            self.opening.set()
            await trio.sleep(1)
        async with self.endpoints.open_packet(index, name, tap, marking) as endpoint:
            yield endpoint

    def open_dhcpv4(self, index: int, name: str, marking: Marking) -> AbstractAsyncContextManager[DatagramEndpoint]:
        return self.endpoints.open_dhcpv4(index, name, marking)


async def test_a_lease_is_told_before_its_status(rig: Rig, autojump_clock: MockClock) -> None:
    """The client has its lease and opens the ARP tap; a reload wants its status at this very moment."""
    rig.config = document(WAN % ", conflictDetection: parallel")
    async with rig.surroundings():
        slow = SlowArp(rig.system().endpoints)
        async with rig.live(lambda system: attrs.evolve(system, endpoints=slow)) as reload:
            await slow.opening.wait()
            await reload()
            await until(lambda: rig.addresses() != [])
    said = [stored.event for stored in await rig.events()]
    (bound,) = [place for place, event in enumerate(said) if event.topic == "routerd.dhcpv4.client.lease.bound"]
    changes = [event.resource == CLIENT and event.message.endswith("→ Bound") for event in said]
    assert changes.count(True) == 1
    assert changes.index(True) > bound
