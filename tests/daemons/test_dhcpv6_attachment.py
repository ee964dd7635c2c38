"""What the host tells of the interface's addresses, as the client takes it."""

from __future__ import annotations

from ipaddress import IPv6Address
from pathlib import Path

import pytest
from trio.testing import MockClock

from routerd.protocols.dhcpv6.message import MessageType
from tests.daemons.rig6 import na, rigged
from tests.router.rig import until


@pytest.mark.req("V6-26")
async def test_an_address_that_the_system_takes_away_because_somebody_else_has_it_is_declined(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """As Linux does with one that has a lifetime."""
    async with rigged(tmp_path) as rig, rig.live(na()):
        client = na().ref
        await until(lambda: "currentAddress" in rig.status_of(client))
        address = rig.status_of(client)["currentAddress"]
        rig.host.elsewhere.add(IPv6Address(address))
        end = rig.host.clock.now() + 3000
        await rig.put(f"{address}/128", valid_until=end, preferred_until=end)
        await until(lambda: rig.server.heard[MessageType.DECLINE] == 1)
        await until(lambda: rig.status_of(client).get("currentAddress") not in (None, address))
