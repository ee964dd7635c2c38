"""A whole router that is killed while it carries out a command: the next life says that nobody knows how it ended."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from routerd.api.access import ENDED, REQUESTED
from tests.api.client import fetch
from tests.router.mortal import Mortal
from tests.router.rig import Rig, until


async def test_a_command_cut_short_is_unknown(rig: Rig, autojump_clock: MockClock) -> None:
    mortal = Mortal(rig)
    async with rig.surroundings():
        async with rig.live(mortal.hold), trio.open_nursery() as nursery:
            await until(lambda: rig.addresses() != [])
            await trio.sleep(60)
            mortal.last = mortal.outputs + 1  # the disk has it that somebody asks, and no more
            nursery.start_soon(fetch, str(rig.run_dir / "dhcpv4-client/wan.sock"), "/v1/commands/renew", "POST")
            await mortal.dead.wait()
            nursery.cancel_scope.cancel()
        for _ in range(2):
            async with rig.live():
                await trio.sleep(10)
        told = [one for one in await rig.events() if one.event.topic in (REQUESTED, ENDED)]
    [requested, ended] = told
    assert requested.event.attributes["act"] == "renew DHCPv4Client/wan"
    assert ended.event.causes == (requested.id,) and ended.event.attributes["outcome"] == "unknown"
