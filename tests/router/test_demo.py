"""The demo as a whole, for an hour of its time: what its provider does, its router lives through."""

from __future__ import annotations

import random
from ipaddress import IPv6Network

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.config import load
from routerd.events.log import inline
from routerd.nurseries.system import open_simulated
from routerd.sim.demo import CONFIGURATION
from routerd.sim.isp6 import POOLS
from tests.router.rig import Rig, crashes


async def test_an_hour_of_the_demo(rig: Rig, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    seen: set[IPv6Network] = set()
    rig.config = CONFIGURATION
    rig.state_dir.mkdir()
    async with open_simulated(load(CONFIGURATION, "router.yaml"), told.append) as system:
        rig.host = system.host  # type: ignore[assignment]  # simulated, as the name says
        system = attrs.evolve(system, run_sync=inline, rng=random.Random(1))
        async with rig.live(lambda _: system):
            for _ in range(360):
                await trio.sleep(10)
                status = await rig.status_of("IPv6DelegatedAddress/lan")
                if "prefix" in status:
                    seen.add(IPv6Network(status["prefix"]))
            assert (await rig.status_of("IPv6RAAddress/wan"))["phase"] == "Bound"
            assert not await rig.unready()
    assert len(told) > 60
    assert {next(pool for pool in POOLS if subnet.subnet_of(pool)) for subnet in seen} == set(POOLS)
    assert crashes(await rig.events(), caplog) == []
