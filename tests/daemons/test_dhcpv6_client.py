"""The managed DHCPv6 client: its life, its link, its resources, its file, and what of all that is told."""

from __future__ import annotations

from pathlib import Path

from trio.testing import MockClock

from tests.daemons.rig6 import rigged

PREFIX = "2001:db8:100::/56"


async def test_a_life_as_it_is_told(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig:
        async with rig.live():
            assert (rig.daemon.phase, rig.daemon.health) == ("Starting", "unknown")
            await rig.bound()
            assert (rig.daemon.phase, rig.daemon.health, rig.daemon.unhealthy_reason) == ("Running", "ok", None)
        assert rig.daemon.phase == "Stopped"
        assert await rig.topics() == [
            "solicit.sent",
            "advertise.received",
            "request.sent",
            "reply.received",
            "prefix.bound",
        ]
        assert await rig.topics("routerd.daemon.lifecycle.") == ["started", "ready", "stopped"]
        assert await rig.phases() == ["Acquiring", "Bound"]
        assert rig.status["currentPrefix"] == PREFIX, "it will go on with it: no word of an end"
        assert rig.server.violations == []
        mine = [e for e in await rig.events() if e.source == rig.daemon.source]
        assert mine[0].causes == ()
        assert all(e.causes for e in mine[1:-1]), "each but the end has what led to it as its cause"
