"""A change on trial that takes IPv6 away: it goes back, and the LAN has what it had."""

from __future__ import annotations

import json

import pytest
import trio
from trio.testing import MockClock

from tests.api.client import control, fetch
from tests.router.rig import document, until
from tests.router.rig6 import IPV6, Street6
from tests.router.test_plan6 import street as street
from tests.router.test_plan6 import without


@pytest.mark.parametrize(
    ("wanted", "within"),
    [(without("DHCPv6", "IPv6"), 60.0), (document(IPV6.replace("subnetID: 1", "subnetID: 2")), 330.0)],
    ids=["no WAN is left", "nobody confirms another subnet"],
)
async def test_it_goes_back(street: Street6, autojump_clock: MockClock, wanted: str, within: float) -> None:
    rig = street.rig
    async with street.surroundings():
        async with rig.live():
            await until(lambda: street.on(0) and bool(street.held("eth0")))
            before = street.held("eth1")
            body = json.dumps({"candidateYaml": wanted, "replace": True, "confirmWithin": "5m"}).encode()
            answer = await fetch(str(rig.run_dir / "routerd.sock"), control("/apply"), "POST", body)
            assert answer.status == 200
            await until(lambda: before[0] not in street.held("eth1") or len(street.held("eth1")) > 1, within=30)
            await until(lambda: rig.config_path.read_text() == rig.config, within=within)
            await until(lambda: street.on(0) and before[0] in street.held("eth1"), within=60)
            await trio.sleep(60)
        told = {one.event.topic.rpartition(".")[2]: one.event for one in await rig.events()}
    if within < 300:
        wans = "DHCPv6PrefixDelegation/wan-pd, DHCPv6Address/wan-na, IPv6RAAddress/wan-ra"
        assert f"no WAN is left: {wans} had one and lost it" in told["reverted"].message
    else:
        left = "of IPv6DelegatedAddress/lan for what was begun with it"
        assert left in told["residue"].message, "hosts that took the other subnet keep it until its end"
