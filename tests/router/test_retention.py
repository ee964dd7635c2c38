"""LogRetention in a whole router: its terms, its status, and the day it is taken out again."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from tests.router.rig import WAN, Rig, document, until

DAY = 86400.0
RETENTION = """
    - apiVersion: system.routerd.net/v1alpha1
      kind: LogRetention
      metadata: {name: log}
      spec: {retention: %s}
"""


async def test_what_it_says_is_done_and_told(rig: Rig, autojump_clock: MockClock) -> None:
    rig.config = document(WAN % "", RETENTION % "2d")
    async with rig.surroundings(lease_time=7200), rig.live() as hang_up:
        await until(lambda: bool(rig.addresses()))
        await trio.sleep(1)
        status = await rig.status_of("LogRetention/log")
        assert status["phase"] == "Applied" and status["targets"] == ["events"] and status["deleted"] == 0
        assert [c["type"] for c in status["conditions"]] == ["Applied"]
        await trio.sleep(5 * DAY)
        status = await rig.status_of("LogRetention/log")
        assert status["deleted"] > 0 and status["lastRunAt"] == status["updatedAt"]
        page = (await rig.ask("/events", limit=1)).json
        first = page["events"][0]
        assert first["id"] == page["oldest"] > 1
        now = rig.host.clock.wall()
        oldest = (await rig.ask("/events", since=0, limit=1)).json["oldest"]
        rig.config_path.write_text(document(WAN % "", RETENTION % "6h"))
        await hang_up()
        await trio.sleep(60)
        assert rig.host.clock.wall() - now < 3600e9
        assert (await rig.ask("/events", limit=1)).json["oldest"] > oldest, "at once, not at the next hour"

        rig.config_path.write_text(document(WAN % ""))
        await hang_up()
        await trio.sleep(60)
        assert (await rig.ask("/describe", target="LogRetention/log")).status == 404
        oldest = (await rig.ask("/events", limit=1)).json["oldest"]
        await trio.sleep(DAY)
        assert (await rig.ask("/events", limit=1)).json["oldest"] == oldest, "30 days again"
    told = [e.event.attributes for e in await rig.events() if e.event.topic == "routerd.log.retention.applied"]
    assert told and all(int(one["deleted"]) > 0 for one in told)
    assert not [e for e in await rig.events() if "lastRunAt" in e.event.attributes.get("changedFields", "")]
