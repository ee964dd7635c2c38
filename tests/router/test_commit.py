"""A whole router with a change on trial: confirmed, forgotten, guarded, killed at each step, and after a reboot."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.api.access import Role
from routerd.changes import commit_file, commit_keeper
from routerd.changes.canonical import Canonical
from routerd.changes.guard import Caller
from routerd.events.types import StoredEvent
from tests.api.client import Answer, control, fetch
from tests.router.mortal import Mortal
from tests.router.rig import LEASED, WAN, Rig, document, until

LINKS = ("eth0", "eth1")
LAN, OTHER = "192.168.1.1/24", "192.168.7.1/24"
CALLER = Caller("192.168.1.1", "192.168.1.7")


def resource(kind: str, name: str, spec: str) -> str:
    return f"""
    - apiVersion: net.routerd.net/v1alpha1
      kind: {kind}
      metadata: {{name: {name}}}
      spec: {spec}
"""


INSIDE = resource("Interface", "lan", "{ifname: eth1}")
ADDRESS = resource("IPv4StaticAddress", "lan", f"{{interface: lan, address: {LAN}}}")
ACCESS = resource("ManagementAccess", "ssh", "{interfaces: [lan]}")
ROUTE = resource("IPv4Route", "site", "{destination: 10.0.0.0/8, gateway: 192.168.1.254}")
CONFIG = document(WAN % "", INSIDE, ADDRESS, ACCESS) + "# the operator's own remark\n"
CUT = document(WAN % "", INSIDE, ACCESS)
"""Without the address by which operators come in."""


@attrs.define(eq=False)
class Trial:
    """A router in one life, and what is asked of it."""

    rig: Rig

    async def post(self, path: str, **body: object) -> Answer:
        """As root, by the main socket."""
        return await fetch(str(self.rig.run_dir / "routerd.sock"), control(path), "POST", json.dumps(body).encode())

    async def apply(self, text: str = "", within: str = "5m", **more: object) -> dict[str, Any]:
        """A change on trial: the whole configuration, or one more route."""
        body = {"candidateYaml": text, "replace": True} if text else {"candidateYaml": document(ROUTE)}
        answer = await self.post("/apply", **body, confirmWithin=within, **more)
        assert answer.status == 200, answer.body
        result: dict[str, Any] = answer.json["result"]
        return result

    async def pending(self) -> dict[str, Any] | None:
        """As any local user sees it."""
        return (await self.status()).get("pendingCommit")

    async def status(self) -> dict[str, Any]:
        status: dict[str, Any] = (await self.rig.ask("/status")).json["status"]
        return status

    @property
    def file(self) -> str:
        return self.rig.config_path.read_text()

    @property
    def kept(self) -> bool:
        """Whether a change on trial is on disk."""
        return commit_file.path_in(self.rig.state_dir).exists()


@pytest.fixture
def rig(memory_path: Path) -> Rig:
    return Rig(memory_path, config=CONFIG)


def ours(events: list[StoredEvent]) -> list[str]:
    """What is told of changes on trial, by topic and reason."""
    words = ("pending", "confirmed", "reverted", "revert_failed", "residue")
    return [
        f"{one.event.topic.rpartition('.')[2]} {one.event.reason}"
        for one in events
        if one.event.topic.startswith("routerd.configuration.") and one.event.topic.rpartition(".")[2] in words
    ]


def event(events: list[StoredEvent], topic: str) -> StoredEvent:
    """The one event of a topic."""
    [found] = [one for one in events if one.event.topic == f"routerd.configuration.{topic}"]
    return found


async def up(rig: Rig) -> Trial:
    """The router as it is before a change."""
    await until(lambda: rig.addresses() == [LEASED] and rig.addresses("eth1") == [LAN])
    return Trial(rig)


async def over(trial: Trial) -> None:
    """Going back has settled, and is told."""
    await until(lambda: not trial.kept, within=30)


async def test_nobody_confirms(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            began = trio.current_time()
            result = await trial.apply()
            assert result["changed"] and len(result["pending"]["token"]) >= 24
            assert result["pending"]["previous"] == 1 and result["pending"]["generation"] == 2 == result["generation"]
            pending = await trial.pending()
            assert pending == {key: value for key, value in result["pending"].items() if key != "token"}
            assert "10.0.0.0/8 via 192.168.1.254" in rig.routes()
            await until(lambda: trial.file == CONFIG, within=400)
            assert 299 <= trio.current_time() - began <= 302
            await until(lambda: "10.0.0.0/8 via 192.168.1.254" not in rig.routes(), within=30)
            await trio.sleep(60)
            assert await trial.pending() is None and not trial.kept
            newest, taken_back, _ = (await rig.ask("/generations")).json["items"]
            assert taken_back["reverted"] is True and newest["restores"] == 1 and "reverted" not in newest
            status = await trial.status()
            assert status["generation"] == 3 and status["phase"] == "Degraded"
            [issue] = status["resourcePhaseIssues"]
            assert (issue["kind"], issue["reason"]) == ("Router", "Reverted")
            assert rig.addresses() == [LEASED], "what was decided meanwhile stays"
        events = await rig.events()
    assert ours(events) == ["pending Pending", "pending ConfirmSoon", "pending ConfirmSoon", "reverted NotConfirmed"]
    reverted = event(events, "reverted").event
    assert reverted.severity == "error" and reverted.attributes["previous"] == "1"
    by_id = {one.id: one.event for one in events}
    assert {by_id[cause].topic for cause in reverted.causes} >= {"routerd.configuration.pending"}


@pytest.mark.parametrize("how", ["reload", "apply"])
async def test_it_is_loud_until_somebody_has_seen_it(rig: Rig, autojump_clock: MockClock, how: str) -> None:
    async with rig.surroundings(links=LINKS), rig.live() as reload:
        trial = await up(rig)
        await trial.apply(within="5s")
        await until(lambda: trial.file == CONFIG, within=10)
        await over(trial)
        assert (await trial.status())["phase"] == "Degraded"
        if how == "reload":
            await reload()
        else:
            assert (await trial.post("/apply", candidateYaml=CONFIG, replace=True)).status == 200
        await trio.sleep(1)
        assert (await trial.status())["phase"] == "Healthy"


async def test_it_is_confirmed(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            token = (await trial.apply())["pending"]["token"]
            await trio.sleep(280)
            answer = await trial.post("/confirm", token=token)
            assert answer.status == 200 and (answer.json["generation"], answer.json["confirmed"]) == (2, True)
            assert not trial.kept and await trial.pending() is None
            await trio.sleep(3600)
            assert "10.0.0.0/8" in trial.file and (await trial.status())["generation"] == 2
            again = await trial.post("/confirm", token=token)
            assert (again.status, again.error["message"]) == (409, "no change waits for a confirmation")
        events = await rig.events()
    assert ours(events)[-1] == "confirmed Confirmed"
    told = event(events, "confirmed").event
    assert told.actor.startswith("uid=") and len(told.causes) == 2


@pytest.mark.parametrize("token", ["", "wrong", "\ud800"])
async def test_another_token_is_a_conflict(rig: Rig, autojump_clock: MockClock, token: str) -> None:
    async with rig.surroundings(links=LINKS), rig.live():
        trial = await up(rig)
        await trial.apply()
        answer = await trial.post("/confirm", token=token)
        if token != "\ud800":
            assert (answer.status, answer.error["field"]) == (409, "token")
            assert answer.error["message"] == "generation 2 is not confirmed: this is not its token"
        assert answer.status in (400, 409) and trial.kept
        assert (await trial.post("/confirm")).status == 400
        await until(lambda: trial.file == CONFIG, within=400)


async def test_what_the_disk_does_not_take_is_not_confirmed(
    rig: Rig, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    async with rig.surroundings(links=LINKS), rig.live():
        trial = await up(rig)
        token = (await trial.apply())["pending"]["token"]
        with monkeypatch.context() as broken:
            broken.setattr(commit_file, "remove", fail)
            broken.setattr(commit_file, "save", fail)
            for body in ({}, {"extend": "1h"}):
                answer = await trial.post("/confirm", token=token, **body)
                assert (answer.status, answer.error["message"]) == (503, "it is on trial still: Read-only file system")
        assert trial.kept and await trial.pending() is not None
        assert (await trial.post("/confirm", token=token)).status == 200
        await trio.sleep(400)
        assert "10.0.0.0/8" in trial.file


async def test_it_is_extended(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            pending = (await trial.apply(within="1m"))["pending"]
            answer = await trial.post("/confirm", token=pending["token"], extend="10m")
            assert answer.status == 200 and answer.json["confirmed"] is False
            assert answer.json["confirmBy"] > pending["confirmBy"]
            shown = await trial.pending()
            assert shown is not None and shown["confirmBy"] == answer.json["confirmBy"]
            await trio.sleep(500)
            assert "10.0.0.0/8" in trial.file
            short = await trial.post("/confirm", token=pending["token"], extend="1s")
            assert short.status == 409
            await until(lambda: trial.file == CONFIG, within=150)
        events = await rig.events()
    assert ours(events)[:2] == ["pending Pending", "pending Extended"]


async def test_only_admins_see_the_token(rig: Rig, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            token = (await trial.apply())["pending"]["token"]
            main, status = (str(rig.run_dir / name) for name in ("routerd.sock", "routerd-status.sock"))
            assert (await fetch(main, control("/generations"))).json["pending"]["token"] == token
            for path in ("/generations", "/generations/2", "/status", "/get"):
                assert token not in (await fetch(status, control(path))).body.decode()
            monkeypatch.setattr("routerd.api.generations.role_of", lambda *_: Role.OPERATOR)
            for path in ("/generations", "/generations/2", "/status", "/get"):
                assert token not in (await fetch(main, control(path))).body.decode()
        assert not [one.id for one in await rig.events() if token in repr(one)]


async def test_while_one_is_pending_nothing_else_is_changed(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            await trial.apply()
            before = trial.file
            for path, body in (
                ("/apply", {"candidateYaml": CONFIG, "replace": True}),
                ("/apply", {"candidateYaml": CONFIG, "replace": True, "confirmWithin": "1m"}),
                ("/delete", {"target": "IPv4Route/site"}),
                ("/rollback", {"to": 1, "confirmWithin": "1m"}),
            ):
                answer = await trial.post(path, **body)
                assert answer.status == 409 and "generation 2 is on trial" in answer.error["message"]
                assert "confirm" in answer.error["hint"] and trial.file == before
            assert (await trial.post("/plan", candidateYaml=CONFIG, replace=True)).status == 200
            began = trio.current_time()
            rollback = await trial.post("/rollback")
            assert rollback.status == 200 and "warnings" not in rollback.json["result"]
            assert trio.current_time() < began + 5, "it does not wait for looks that nobody has reason to take"
            assert trial.file == CONFIG and await trial.pending() is None and not trial.kept
            await trio.sleep(400)
            assert trial.file == CONFIG
            assert (await trial.post("/apply", candidateYaml=document(ROUTE))).status == 200
            items = (await rig.ask("/generations")).json["items"]
            assert [(one.get("reverted"), one.get("restores")) for one in items] == [
                (None, None),
                (None, 1),
                (True, None),
                (None, None),
            ]
        assert ours(await rig.events()) == ["pending Pending", "reverted RolledBack"]


async def test_admins_whose_group_is_not_there_are_told_of(rig: Rig, autojump_clock: MockClock) -> None:
    access = ACCESS.replace("interfaces: [lan]", "interfaces: [lan], adminGroup: no-such-group")
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            result = await trial.apply(CONFIG.replace(ACCESS, access))
            assert result["phase"] == "Drifted"
            described = (await rig.ask("/describe", target="ManagementAccess/ssh")).json["resource"]
            assert described["status"]["reason"] == "AdminGroupAbsent"
        told = [one.event for one in await rig.events() if one.event.topic.endswith("management.group_absent")]
    assert [(one.severity, one.generation) for one in told] == [("warning", 2)]


# Guards


async def test_who_would_lock_themselves_out_is_told_so_before(rig: Rig, autojump_clock: MockClock) -> None:
    """By apply, delete and reload, on trial or not; and nothing is changed."""
    without = document(WAN % "", ACCESS)
    shut = CONFIG.replace("{ifname: eth1}", "{ifname: eth1, adminUp: false}")
    async with rig.surroundings(links=LINKS), rig.live() as reload:
        trial = await up(rig)
        for path, body in (
            ("/apply", {"candidateYaml": without, "replace": True}),
            ("/apply", {"candidateYaml": shut, "replace": True, "confirmWithin": "1m"}),
            ("/delete", {"target": "Interface/lan"}),
        ):
            answer = await trial.post(path, **body)
            assert answer.status == 400 and "management plane lockout risk: " in answer.body.decode()
            assert trial.file == CONFIG and not trial.kept
        rig.config_path.write_text(without)
        await reload()
        await trio.sleep(1)
        assert "management plane lockout risk: there is no Interface" in (await trial.status())["pendingError"]
        assert rig.addresses("eth1") == [LAN]


async def test_the_way_in_is_lost(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            began = trio.current_time()
            await trial.apply(CUT)
            await until(lambda: rig.addresses("eth1") == [], within=5)
            await until(lambda: rig.addresses("eth1") == [LAN], within=30)
            assert trio.current_time() - began < 20, "early, and not at its deadline"
            assert trial.file == CONFIG
            await over(trial)
        events = await rig.events()
    assert ours(events) == ["pending Pending", "reverted GuardFailed"]
    assert "eth1 has no address for 10s" in event(events, "reverted").event.message


async def test_the_interface_is_gone_for_good(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            await trial.apply()
            rig.world.remove_link("eth1")
            await until(lambda: trial.file == CONFIG, within=3)
            await over(trial)
        assert ours(await rig.events())[1] == "reverted GuardFailed"


async def test_a_way_in_that_is_back_soon_is_forgiven(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=LINKS), rig.live():
        trial = await up(rig)
        await trial.apply()
        for _ in range(3):
            rig.world.pull_cable("eth1")
            await trio.sleep(8)
            rig.world.plug("eth1")
            await trio.sleep(8)
        assert await trial.pending() is not None


async def test_another_address_is_a_way_in_too(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=LINKS), rig.live():
        trial = await up(rig)
        token = (await trial.apply(CONFIG.replace(LAN, OTHER)))["pending"]["token"]
        await trio.sleep(60)
        assert rig.addresses("eth1") == [OTHER]
        assert (await trial.post("/confirm", token=token)).status == 200


async def test_the_only_wan_is_lost(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            began = trio.current_time()
            await trial.apply(document(resource("Interface", "wan", "{ifname: eth0}"), INSIDE, ADDRESS, ACCESS))
            await until(lambda: rig.addresses() == [], within=10)
            await until(lambda: trial.file == CONFIG, within=60)
            assert 25 < trio.current_time() - began < 50
            await until(lambda: rig.addresses() == [LEASED], within=60)
            await over(trial)
        events = await rig.events()
    assert "no WAN is left: DHCPv4Client/wan" in event(events, "reverted").event.message


async def test_a_client_that_begins_anew_is_no_loss(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=LINKS), rig.live():
        trial = await up(rig)
        await trial.apply(CONFIG.replace("{interface: wan}", "{interface: wan, hostname: another}"))
        await trio.sleep(100)
        assert await trial.pending() is not None and rig.addresses() == [LEASED]


@pytest.mark.parametrize("change", ["address", "route"])
async def test_the_caller_is_cut_off(
    rig: Rig, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    far = Caller(CALLER.local, "10.9.9.9")
    monkeypatch.setattr(commit_keeper, "caller_of", lambda _: CALLER if change == "address" else far)
    rig.config = document(WAN % ", useRoutes: false", INSIDE, ADDRESS, ROUTE)
    cut = {"address": rig.config.replace(LAN, OTHER).replace("192.168.1.254", "192.168.7.254"), "route": ""}
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            await until(lambda: len(rig.routes()) == 1)
            before = trial.file
            await trial.apply(cut[change] or document(WAN % ", useRoutes: false", INSIDE, ADDRESS))
            await until(lambda: trial.file == before, within=20)
            await until(lambda: rig.addresses("eth1") == [LAN] and len(rig.routes()) == 1, within=30)
            await over(trial)
        events = await rig.events()
    why = {
        "address": "the address 192.168.1.1, to which the caller is connected, is gone",
        "route": "there is no route to the caller at 10.9.9.9",
    }
    assert why[change] in event(events, "reverted").event.message
    assert event(events, "pending").event.attributes["caller"] in (CALLER.remote, far.remote)


# Clocks


async def test_a_wall_clock_that_is_set_ends_nothing_early(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=LINKS), rig.live():
        trial = await up(rig)
        pending = (await trial.apply())["pending"]
        for seconds in (86400.0, -10 * 86400.0, 3.0):
            rig.host.simulated_clock.step_wall(seconds)
            await trio.sleep(30)
            assert trial.kept
        shown = await trial.pending()
        assert shown is not None and shown["confirmBy"] != pending["confirmBy"], "people are told the present moment"
        await until(lambda: trial.file == CONFIG, within=220)


async def test_a_host_that_slept_too_long_goes_back_when_it_wakes(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=LINKS), rig.live():
        trial = await up(rig)
        await trial.apply()
        rig.host.simulated_clock.suspend(600)
        await until(lambda: trial.file == CONFIG, within=20)


# What goes wrong in going back


async def test_going_back_is_tried_until_the_disk_takes_it(
    rig: Rig, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    mended = trio.Event()
    honest = Canonical.replace

    def replace(self: Canonical, octets: bytes, expected: bytes | None) -> None:
        if not mended.is_set() and b"10.0.0.0" not in octets:
            raise OSError(28, "No space left on device")
        honest(self, octets, expected)

    monkeypatch.setattr(Canonical, "replace", replace)
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            await trial.apply(within="1m")
            await trio.sleep(300)
            assert trial.kept and "10.0.0.0/8" in trial.file
            issues = (await trial.status())["resourcePhaseIssues"]
            assert [(issue["kind"], issue["reason"]) for issue in issues] == [("Router", "RevertFailed")]
            mended.set()
            await until(lambda: trial.file == CONFIG, within=100)
            await over(trial)
        events = ours(await rig.events())
    assert events == ["pending Pending", "pending ConfirmSoon", "revert_failed RevertFailed", "reverted NotConfirmed"]


async def test_a_generation_that_cannot_be_read_any_more_is_known_otherwise(
    rig: Rig, autojump_clock: MockClock
) -> None:
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            await trial.apply(within="1m")
            for text in (rig.state_dir / "generations").iterdir():
                text.unlink()
            await until(lambda: trial.file == CONFIG, within=100)
            await trio.sleep(20)
        assert ours(await rig.events())[-1] == "reverted NotConfirmed"


async def test_what_stays_on_the_host_is_told(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            await trial.apply(CONFIG.replace("{ifname: eth1}", "{ifname: eth1, mtu: 1280}"), within="1m")
            await trio.sleep(150)
            assert trial.file == CONFIG
            item = (await rig.ask("/generations/2")).json["generation"]
            assert item["warnings"] == ["eth1 still has the MTU 1280: the configuration in force names none"]
        events = await rig.events()
    assert ours(events)[-1] == "residue Residue"
    residue = event(events, "residue")
    assert residue.event.severity == "warning" and residue.event.causes == (event(events, "reverted").id,)


# Restarts, reboots, and kill -9 at each step


class Portable(Rig):
    """A rig whose configuration lies beside its state: what a life that was killed leaves of both is one picture."""

    def take_up(self) -> None:
        """The next life begins with the file that this one left."""
        self.config_path.unlink(missing_ok=True)
        self.config_path.symlink_to(self.state_dir / "router.yaml")
        self.config = self.config_path.read_text()


@pytest.fixture
def portable(memory_path: Path) -> Portable:
    rig = Portable(memory_path)
    rig.state_dir.mkdir()
    (rig.state_dir / "router.yaml").write_text(CONFIG)
    rig.take_up()
    return rig


async def test_a_restart_changes_nothing(portable: Portable, autojump_clock: MockClock) -> None:
    rig = portable
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            began = trio.current_time()
            token = (await trial.apply())["pending"]["token"]
            await trio.sleep(100)
        rig.take_up()
        async with rig.live():
            pending = await trial.pending()
            assert pending is not None and pending["generation"] == 2
            wrong = await trial.post("/confirm", token="wrong")
            assert wrong.status == 409
            await until(lambda: trial.file == CONFIG, within=250)
            assert 299 <= trio.current_time() - began <= 302
            assert (await trial.post("/confirm", token=token)).status == 409
            await trio.sleep(20)
        assert ours(await rig.events())[-1] == "reverted NotConfirmed"


async def test_the_token_is_good_after_a_restart_and_told(portable: Portable, autojump_clock: MockClock) -> None:
    rig = portable
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            token = (await trial.apply())["pending"]["token"]
        rig.take_up()
        async with rig.live():
            main, status = (str(rig.run_dir / name) for name in ("routerd.sock", "routerd-status.sock"))
            assert (await fetch(main, control("/generations"))).json["pending"]["token"] == token
            assert token not in (await fetch(status, control("/generations"))).body.decode()
            assert (await trial.post("/confirm", token=token)).status == 200
            await trio.sleep(400)
            assert "10.0.0.0/8" in trial.file


async def test_a_reboot_reverts_before_anything_runs(portable: Portable, autojump_clock: MockClock) -> None:
    rig = portable
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            await trial.apply(CONFIG.replace("{ifname: eth1}", "{ifname: eth1, mtu: 1280}"))
        rig.take_up()
        rig.host.simulated_clock.boot_id = "another boot"
        rig.host.set_link(rig.world.link("eth1").index, mtu=1500)  # as a host begins
        async with rig.live():
            assert trial.file == CONFIG
            await trio.sleep(60)
            assert rig.world.link("eth1").mtu == 1500, "what was on trial was never tried again"
            assert not trial.kept and await trial.pending() is None
        assert ours(await rig.events())[-1] == "reverted Reboot"


async def test_a_long_night_reverts_at_the_next_start(portable: Portable, autojump_clock: MockClock) -> None:
    rig = portable
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            await trial.apply()
        rig.take_up()
        await trio.sleep(10_000)
        async with rig.live():
            assert trial.file == CONFIG
            await until(lambda: not trial.kept)
        assert ours(await rig.events())[-1] == "reverted NotConfirmed"


async def test_a_torn_file_is_told_and_set_aside(portable: Portable, autojump_clock: MockClock) -> None:
    rig = portable
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            trial = await up(rig)
            await trial.apply()
        rig.take_up()
        path = commit_file.path_in(rig.state_dir)
        path.write_bytes(path.read_bytes()[: random.Random(1).randrange(200)])
        async with rig.live():
            await trio.sleep(1000)
            assert "10.0.0.0/8" in trial.file and not trial.kept
            assert (await trial.post("/rollback", to=1)).status == 200
        events = await rig.events()
    assert ours(events)[1:] == ["revert_failed FileUnusable"]


async def test_a_file_that_cannot_be_removed_tells_nothing_twice(
    portable: Portable, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError(30, "Read-only file system")

    rig = portable
    async with rig.surroundings(links=LINKS):
        with monkeypatch.context() as broken:
            broken.setattr(commit_file, "remove", fail)
            async with rig.live():
                trial = await up(rig)
                await trial.apply(within="5s")
                await trio.sleep(200)
                assert trial.file == CONFIG and await trial.pending() is None and trial.kept
            async with rig.live():
                await trio.sleep(5)
        async with rig.live():
            await until(lambda: not trial.kept)
        assert ours(await rig.events()) == ["pending Pending", "reverted NotConfirmed"]


async def test_another_file_is_not_touched(portable: Portable, autojump_clock: MockClock) -> None:
    """The state is the same, the configuration is another one: what was on trial is not of it."""
    rig = portable
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            await (await up(rig)).apply()
        (rig.directory / "other").mkdir()
        elsewhere = Rig(rig.directory / "other", config=CUT)
        elsewhere.world, elsewhere.host, elsewhere.state_dir = rig.world, rig.host, rig.state_dir
        async with elsewhere.live():
            await trio.sleep(400)
            assert elsewhere.config_path.read_text() == CUT
            assert not (rig.state_dir / commit_file.NAME).exists()
        events = await rig.events()
    assert ours(events)[-1] == "revert_failed FileUnusable"


STEPS = 50
"""More outputs than a change on trial, and going back from it, has."""


async def killed(rig: Portable, act: Callable[[Trial], Any], step: int) -> bool:
    """A life that is killed right after the output number `step` of an act; whether there were that many."""
    mortal = Mortal(rig)
    async with rig.live(mortal.hold), trio.open_nursery() as nursery:
        trial = await up(rig)
        await trio.sleep(60)
        mortal.last = mortal.outputs + step
        nursery.start_soon(act, trial)
        with trio.move_on_after(100):
            await mortal.dead.wait()
        nursery.cancel_scope.cancel()
    return not mortal.alive


async def test_the_steps_are_all_there_are(portable: Portable, autojump_clock: MockClock) -> None:
    async with portable.surroundings(links=LINKS):
        assert await killed(portable, forget, STEPS - 12), "as many as this there are"
        portable.take_up()
        assert not await killed(portable, forget, STEPS), "and not so many"


async def forget(trial: Trial) -> None:
    """Apply, and do not confirm."""
    await trial.post("/apply", candidateYaml=CUT, replace=True, confirmWithin="5m")
    await trio.sleep_forever()


@pytest.mark.slow
@pytest.mark.parametrize("boot_id", ["the same", "another"])
@pytest.mark.parametrize("step", range(1, STEPS))
async def test_killed_at_any_step_it_goes_back(
    portable: Portable, autojump_clock: MockClock, step: int, boot_id: str
) -> None:
    """While it is applied and while it goes back (which a guard has it do after ten seconds)."""
    rig = portable
    async with rig.surroundings(links=LINKS):
        rig.host.simulated_clock.boot_id = "the same"
        await killed(rig, forget, step)
        rig.take_up()
        rig.host.simulated_clock.boot_id = boot_id
        async with rig.live():
            trial = Trial(rig)
            await until(lambda: trial.file == CONFIG and rig.addresses("eth1") == [LAN], within=400)
            await trio.sleep(60)
            assert not trial.kept and await trial.pending() is None
            assert rig.addresses() == [LEASED]
            phase = (await trial.status())["phase"]
        events = ours(await rig.events())
    assert events.count("pending Pending") <= 1
    assert sum(one.startswith("reverted") for one in events) == (1 if "pending Pending" in events else len(events))
    assert phase in ("Healthy", "Degraded")


async def confirm(trial: Trial) -> None:
    """Apply, and confirm at once."""
    token = (await trial.apply())["pending"]["token"]
    await trial.post("/confirm", token=token)
    await trio.sleep_forever()


@pytest.mark.slow
@pytest.mark.parametrize("step", range(1, STEPS // 2))
async def test_killed_at_any_step_it_is_confirmed_or_goes_back(
    portable: Portable, autojump_clock: MockClock, step: int
) -> None:
    """And whatever it comes to, the next life says the same as the disk."""
    rig = portable
    async with rig.surroundings(links=LINKS):
        await killed(rig, confirm, step)
        rig.take_up()
        trial = Trial(rig)
        confirmed = not trial.kept and rig.config != CONFIG
        async with rig.live():
            await trio.sleep(400)
            assert (trial.file != CONFIG) is confirmed and not trial.kept
            assert ("10.0.0.0/8 via 192.168.1.254" in rig.routes()) is confirmed
        events = ours(await rig.events())
    assert ("confirmed Confirmed" in events) <= confirmed
    assert not (confirmed and any(one.startswith("reverted") for one in events))
