"""The configuration is changed through the API, in a whole router on a simulated host."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.config.schema import document_schema
from routerd.events.log import inline, open_log
from routerd.events.types import Ref
from tests.api.client import control, dial, fetch
from tests.router.changing import address, apply, by_id, candidate, done, generations, lan, post, refused, resource
from tests.router.rig import DEFAULT, LEASED, WAN, Rig, document, until

COMMENTED = document(WAN % "") + "# the end\n"


@pytest.fixture
def rig(memory_path: Path) -> Rig:
    return Rig(memory_path, config=COMMENTED)


def changes(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["resource"], one["change"]) for one in result["changes"]]


async def test_apply_merges_writes_and_brings_about(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=("eth0", "eth1")), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        result = await apply(rig, lan(), address("lan", "lan", "192.168.7.1/24"))
        assert rig.addresses("eth1") == ["192.168.7.1/24"], "it is there when apply returns"
        text = rig.config_path.read_text()
        assert text.startswith(COMMENTED.removesuffix("# the end\n"))
        assert text.endswith("# the end\n")
        assert (result["generation"], result["changed"]) == (2, True)
        assert changes(result) == [("Interface/lan", "added"), ("IPv4StaticAddress/lan", "added")]
        found = by_id(result)
        assert {name: one["outcome"] for name, one in found.items()} == {
            "Interface/wan": "unchanged",
            "DHCPv4Client/wan": "unchanged",
            "Interface/lan": "changed",
            "IPv4StaticAddress/lan": "changed",
        }
        assert found["IPv4StaticAddress/lan"]["plan"] == ["put 192.168.7.1/24 on eth1"]
        assert found["IPv4StaticAddress/lan"]["artifacts"] == [
            {"kind": "Address", "name": "192.168.7.1/24 dev eth1", "action": "ensure"}
        ]
        assert found["IPv4StaticAddress/lan"]["phase"] == "Healthy"
        assert "restarts" not in result
        assert (await rig.ask("/status")).json["status"]["generation"] == 2
    events = [e.event for e in await rig.events()]
    [one] = [e for e in events if e.topic == "routerd.configuration.applied" and e.generation == 2]
    assert one.actor.startswith("uid=0 ")
    assert one.causes, "the request is its cause"


async def test_plan_says_what_apply_then_does_and_does_nothing(rig: Rig, autojump_clock: MockClock) -> None:
    gone = resource("DHCPv4Client", "wan", interface="wan", hostname="other")
    wanted = candidate(lan(), address("lan", "lan", "192.168.7.1/24"), gone)
    async with rig.surroundings(links=("eth0", "eth1")), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        before, newest = rig.config_path.read_text(), (await rig.ask("/events", tail=1)).json["newest"]
        plan = await done(rig, "/plan", candidateYaml=wanted)
        dry = await done(rig, "/apply", candidateYaml=wanted, dryRun=True)
        assert rig.config_path.read_text() == before
        assert rig.addresses("eth1") == []
        told = (await rig.ask("/events", since=newest, limit=1000)).json["events"]
        assert {e["topic"] for e in told} == {"routerd.api.command.requested", "routerd.api.command.ended"}
        assert {**plan, "timestamp": 0} == {**dry, "timestamp": 0}
        assert plan["restarts"] == ["dhcpv4-client/wan"]
        assert plan["generation"] == 1
        result = await done(rig, "/apply", candidateYaml=wanted)
        assert result["changes"] == plan["changes"]
        assert {n: one.get("plan") for n, one in by_id(result).items()} == {
            n: one.get("plan") for n, one in by_id(plan).items()
        }
        [hostname] = [one for one in result["changes"] if one["resource"] == "DHCPv4Client/wan"]
        assert hostname["fields"] == [{"path": "spec.hostname", "after": "other"}]
        again = await done(rig, "/plan", candidateYaml=wanted)
        assert not again["changed"]
        assert not [one for one in again["resources"] if "plan" in one]


async def test_plan_without_a_candidate_is_what_is_in_force(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        plan = await done(rig, "/plan")
        assert plan["changes"] == []
        assert {one["outcome"] for one in plan["resources"]} == {"unchanged"}


@pytest.mark.parametrize("seconds", [0.06, 0.3])
async def test_a_slow_disk_is_waited_for_too(rig: Rig, autojump_clock: MockClock, seconds: float) -> None:
    async def slow(function: Callable[..., Any], *args: Any, **_: Any) -> Any:
        await trio.sleep(seconds)
        return await inline(function, *args)

    async with rig.surroundings(), rig.live(lambda system: attrs.evolve(system, run_sync=slow)):
        await until(lambda: DEFAULT in rig.routes())
        await trio.sleep(10)
        for metric in (50, 60):
            result = await apply(rig, resource("DHCPv4Client", "wan", interface="wan", routeMetric=metric))
            assert (result["restarts"], result["phase"]) == (["dhcpv4-client/wan"], "Healthy")
            assert {one["phase"] for one in result["resources"]} == {"Healthy"}
            assert "warnings" not in result


async def test_a_client_that_goes_takes_its_lease_along_as_foreseen(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        plan = await done(rig, "/delete", target="dhcpv4/wan", dryRun=True)
        assert by_id(plan)["DHCPv4Client/wan"]["plan"] == [
            "stop dhcpv4-client/wan",
            "remove the route to 0.0.0.0/0 via 203.0.113.1 dev eth0 metric 100",
            f"remove {LEASED} from eth0",
        ]
        assert rig.addresses() == [LEASED]
        answer = (await post(rig, "/delete", target="dhcpv4-client/wan")).json
        assert answer["deleted"] == ["net.routerd.net/v1alpha1/DHCPv4Client/wan"]
        assert [one["action"] for one in answer["artifacts"]] == ["stop", "delete", "delete"]
        assert by_id(answer["result"])["DHCPv4Client/wan"]["outcome"] == "removed"
        assert rig.addresses() == rig.routes() == []
    [told] = [e.event for e in await rig.events() if e.event.topic == "routerd.configuration.deleted"]
    assert told.attributes["target"] == "DHCPv4Client/wan"


async def test_a_no_op_is_none(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        await trio.sleep(30)
        inode = rig.config_path.stat().st_ino
        for _ in range(3):
            result = await done(rig, "/apply", candidateYaml=COMMENTED)
            assert (result["generation"], result["changed"], result["resources"]) == (1, False, None)
        assert rig.config_path.stat().st_ino == inode
        result = await done(rig, "/apply", candidateYaml=COMMENTED + "# more\n", replace=True)
        assert (result["generation"], result["changed"]) == (1, False), "a comment is no configuration"
        assert rig.config_path.read_text().endswith("# more\n")
        assert len(await generations(rig)) == 1
    told = [e.event.topic for e in await rig.events() if "configuration" in e.event.topic]
    assert told == ["routerd.configuration.applied", "routerd.configuration.settled"]


async def test_if_match(rig: Rig, autojump_clock: MockClock) -> None:
    stale, right = {"If_Match": '"7"'}, {"If_Match": '"1"'}
    async with rig.surroundings(links=("eth0", "eth1")), rig.live() as hang_up:
        text = candidate(lan())
        error = await refused(rig, "/apply", 412, headers=stale, candidateYaml=text)
        assert error["message"] == "the latest generation is 1, not 7"
        assert (await refused(rig, "/apply", 400, headers={"If_Match": "x"}, candidateYaml=text))["field"] == "If-Match"
        assert (await post(rig, "/apply", headers=right, candidateYaml=text)).status == 200
        await refused(rig, "/rollback", 412, headers=right)
        rig.config_path.write_text(document(WAN % ", hostname: byhand"))
        error = await refused(rig, "/apply", 412, headers={"If_Match": '"2"'}, candidateYaml=text)
        assert "changed by hand" in error["message"]
        await hang_up()
        await trio.sleep(5)
        assert (await rig.ask("/generations")).json["current"] == 3
        assert (await post(rig, "/apply", headers={"If_Match": '"3"'}, candidateYaml=text)).status == 200


async def test_what_an_editor_wrote_is_merged_into(rig: Rig, autojump_clock: MockClock) -> None:
    """Also before anybody had it loaded; nothing is lost."""
    async with rig.surroundings(links=("eth0", "eth1")), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        rig.config_path.write_text(document(WAN % ", hostname: byhand"))
        words = f"{rig.config_path} was changed by hand since generation 1 (DHCPv4Client/wan changed): that is"
        plan = await done(rig, "/plan", candidateYaml=candidate(lan()))
        over = await done(rig, "/apply", candidateYaml=COMMENTED, replace=True, dryRun=True)
        assert over["warnings"] == [f"{words} overwritten"]
        result = await apply(rig, lan())
        assert result["warnings"] == plan["warnings"] == [f"{words} part of this change, too"]
        assert changes(result) == [("DHCPv4Client/wan", "changed"), ("Interface/lan", "added")]
        assert "byhand" in rig.config_path.read_text()
        assert "warnings" not in await apply(rig, lan(mtu=1400), dryRun=True), "it is loaded by now"


async def test_events_tell_of_which_generation_they_are(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=("eth0", "eth1")), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        await apply(rig, lan(), address("lan", "lan", "192.168.1.1/24"))
        described = (await rig.ask("/describe", target="IPv4StaticAddress/lan")).json["resource"]["events"]
        assert [one.get("generation") for one in described] == [2, 2]
        described = (await rig.ask("/describe", target="Interface/wan")).json["resource"]["events"]
        assert {one.get("generation") for one in described} == {1, 2, None}, "what the host did is of none"


async def test_errors_have_their_places_and_change_nothing(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(), rig.live():
        text = "spec:\n  resources:\n  - apiVersion: net.routerd.net/v1alpha1\n    kind: Interface\n"
        text += "    metadata: {name: lan}\n    spec: {ifname: eth1, mtuu: 7, managed: yes}\n"
        for path in ("/apply", "/plan"):
            error = await refused(rig, path, 400, candidateYaml=text)
            assert error["message"].startswith("bad request: candidate:6:26: Interface/lan spec.mtuu: is not a field")
            assert (error["line"], error["column"]) == (6, 26)
            assert [one["code"] for one in error["errors"]] == ["schema.unknown-field", "schema.type"]
            assert "6 | " in error["errors"][0]["excerpt"]
            assert "^^^^" in error["errors"][0]["excerpt"]
        valid = await done(rig, "/validate", candidateYaml=text)
        assert valid["valid"] is False
        assert valid["errors"] == error["errors"]
        error = await refused(rig, "/apply", 400, candidateYaml="spec: [", replace=True)
        assert error["code"] == "yaml.syntax"
        assert rig.config_path.read_text() == COMMENTED
        assert (await done(rig, "/validate"))["valid"]
        assert (await done(rig, "/validate", candidateYaml=COMMENTED, replace=True))["valid"]
    told = [e.event for e in await rig.events() if e.event.topic == "routerd.configuration.rejected"]
    assert [e.severity for e in told] == ["warning", "warning"]
    assert "mtuu" in told[0].attributes["errors"]


async def test_what_others_refer_to_cannot_be_deleted(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(), rig.live():
        error = await refused(rig, "/delete", 400, target="Interface/wan")
        [one] = error["errors"]
        assert (one["code"], one["label"], one["field"]) == ("reference.dangling", "DHCPv4Client/wan", "spec.interface")
        assert COMMENTED.splitlines()[one["line"] - 1][one["column"] - 1 :] == "wan}"
        assert one["source"] == str(rig.config_path)
        for path, fields in (
            ("/apply", {"candidateYaml": COMMENTED + "# x", "replace": True}),
            ("/rollback", {"to": 1}),
        ):
            await done(rig, path, **fields)
            error = await refused(rig, "/delete", 400, target="Interface/wan")
            assert error["errors"][0]["source"] == str(rig.config_path), "whoever wrote it, it is the file now"
        error = await refused(rig, "/delete", 404, target="Interface/lan")
        assert error["message"] == "Interface/lan not found in canonical config"
        assert (await refused(rig, "/delete", 404, target="Intreface/lan"))["hint"] == "did you mean Interface?"
        await refused(rig, "/delete", 400, target="Interface")
        await refused(rig, "/delete", 400, target="if/wan", targetApiVersion="system.routerd.net/v1alpha1")
        await refused(rig, "/delete", 400)


async def test_delete_with_force_forgets_what_nobody_declares(rig: Rig, autojump_clock: MockClock) -> None:
    stale = Ref("IPv4StaticAddress", "old")
    async with rig.surroundings():
        async with open_log(rig.state_dir / "routerd.db", clock_ns=rig.host.clock.wall, run_sync=inline) as log:
            await log.append(status={Ref("Telemetry", "x", "observability.routerd.net/v1alpha1"): {"phase": "Up"}})
        async with rig.live():
            await trio.sleep(20)
            assert await refused(rig, "/delete", 404, target="Telemetry/x")
            known = (await done(rig, "/plan")).get("orphans", [])
            for orphan in known:
                target = f"{orphan['kind']}/{orphan['name']}"
                gone = (await post(rig, "/delete", target=target, force=True)).json
                assert gone["deleted"] == [f"observability.routerd.net/v1alpha1/{target}"]
            assert "orphans" not in await done(rig, "/plan")
            await refused(rig, "/delete", 404, target=f"{stale}", force=True)


async def test_rollback(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=("eth0", "eth1")), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        await refused(rig, "/rollback", 404)
        await apply(rig, lan(), address("lan", "lan", "192.168.7.1/24"))
        await apply(rig, address("lan", "lan", "192.168.8.1/24"))
        back = await done(rig, "/rollback")
        assert back["generation"] == 4
        assert rig.addresses("eth1") == ["192.168.7.1/24"]
        first = await done(rig, "/rollback", to=1)
        assert rig.config_path.read_text() == COMMENTED
        assert rig.addresses("eth1") == []
        assert [one["outcome"] for one in first["resources"]] == ["unchanged", "unchanged", "removed", "removed"]
        items = await generations(rig)
        assert [one["generation"] for one in items] == [5, 4, 3, 2, 1]
        assert items[0]["configHash"] == items[4]["configHash"]
        assert items[1]["configHash"] == items[3]["configHash"]
        await refused(rig, "/rollback", 404, to=77)
        detail = (await rig.ask("/generations/3")).json
        assert "yaml" not in detail
        assert detail["changes"] == [
            {
                "resource": "IPv4StaticAddress/lan",
                "apiVersion": "net.routerd.net/v1alpha1",
                "change": "changed",
                "fields": [{"path": "spec.address", "before": "192.168.7.1/24", "after": "192.168.8.1/24"}],
            }
        ]
        whole = await fetch(str(rig.run_dir / "routerd.sock"), control("/generations/1"))
        assert whole.json["yaml"] == COMMENTED
        assert (await rig.ask("/generations/77")).status == (await rig.ask("/generations/x")).status == 404
    told = [e.event for e in await rig.events() if e.event.topic == "routerd.configuration.rolled_back"]
    assert [e.attributes["to"] for e in told] == ["2", "1"]


async def test_rollback_to_what_is_valid_no_more(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=("eth0", "eth1")), rig.live():
        await apply(rig, lan())
        kept = rig.state_dir / "generations" / "1.yaml"
        kept.write_text(COMMENTED.replace("ifname", "ifnane"))
        error = await refused(rig, "/rollback", 400, to=1)
        assert {one["source"] for one in error["errors"]} == {"generation 1"}
        kept.unlink()
        assert "no text of generation 1" in (await refused(rig, "/rollback", 404, to=1))["message"]
        assert (await generations(rig))[-1]["hasYaml"] is False
        assert (await generations(rig))[0]["generation"] == 2


async def test_what_is_not_reconciled_waits(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=("eth0", "eth1")):
        async with rig.live():
            await until(lambda: DEFAULT in rig.routes())
            wanted = (lan(), address("lan", "lan", "192.168.7.1/24"))
            result = await apply(rig, *wanted, noReconcile=True)
            assert (result["generation"], result["phase"], result["resources"]) == (2, "Committed", None)
            await trio.sleep(30)
            assert rig.addresses("eth1") == []
            status = (await rig.ask("/status")).json["status"]
            assert (status["generation"], status["waitingGeneration"]) == (1, 2)
            listed = (await rig.ask("/generations")).json
            assert (listed["current"], listed["waiting"]) == (1, 2)
            assert listed["items"][0]["phase"] == "Committed"
            again = await apply(rig, *wanted, noReconcile=True)
            assert (again["generation"], again["changed"]) == (2, False)
            more = await apply(rig, address("lan", "lan", "192.168.9.1/24"), noReconcile=True)
            assert more["generation"] == 3
            assert rig.addresses("eth1") == []
            loaded = await apply(rig, address("lan", "lan", "192.168.9.1/24"))
            assert (loaded["generation"], loaded["changed"]) == (3, True), "it is the one that waited"
            assert rig.addresses("eth1") == ["192.168.9.1/24"]
            assert "waitingGeneration" not in (await rig.ask("/status")).json["status"]
            await apply(rig, address("lan", "lan", "192.168.6.1/24"), noReconcile=True)
        rig.config = rig.config_path.read_text()
        async with rig.live():
            await until(lambda: rig.addresses("eth1") == ["192.168.6.1/24"])
            assert (await rig.ask("/generations")).json["current"] == 4
        told = [e.event for e in await rig.events() if e.event.topic == "routerd.configuration.committed"]
        assert [e.generation for e in told] == [2, 3, 4]


async def test_a_file_that_cannot_be_read_can_be_replaced_only(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=("eth0", "eth1")), rig.live():
        for trouble in ("spec: [", None):
            rig.config_path.unlink()
            if trouble is not None:
                rig.config_path.write_text(trouble)
            asked: dict[str, dict[str, Any]] = {
                "/apply": {"candidateYaml": candidate(lan())},
                "/plan": {"candidateYaml": candidate(lan())},
                "/delete": {"target": "DHCPv4Client/wan"},
            }
            for path, fields in asked.items():
                error = await refused(rig, path, 409, **fields)
                assert error["hint"] == "mend it, or replace it as a whole"
                assert [one["code"] for one in error.get("errors", ())] == (["yaml.syntax"] if trouble else [])
            assert (await done(rig, "/validate"))["valid"] is False
            result = await done(rig, "/apply", candidateYaml=COMMENTED, replace=True)
            assert (result["generation"], result["changed"]) == (1, False)
            assert rig.config_path.read_text() == COMMENTED
            assert (await rig.ask("/status")).json["status"].get("pendingError") is None


async def test_without_a_place_for_the_history_nothing_is_changed(rig: Rig, autojump_clock: MockClock) -> None:
    """There would be no way back."""
    async with rig.surroundings(links=("eth0", "eth1")), rig.live():
        kept = rig.state_dir / "generations"
        kept.rename(rig.state_dir / "elsewhere")
        kept.write_text("a file")
        error = await refused(rig, "/apply", 503, candidateYaml=candidate(lan()))
        assert error["message"].endswith("nothing is changed")
        assert rig.config_path.read_text() == COMMENTED
        kept.unlink()
        assert (await apply(rig, lan()))["generation"] == 2


async def test_mode_owner_and_links_are_kept(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=("eth0", "eth1")), rig.live():
        real = rig.directory / "real"
        real.mkdir()
        rig.config_path.rename(real / "house.yaml")
        rig.config_path.symlink_to("real/house.yaml")
        (real / "house.yaml").chmod(0o640)
        if os.geteuid() == 0:
            os.chown(real / "house.yaml", 123, 456)
        await apply(rig, lan())
        assert rig.config_path.is_symlink()
        found = (real / "house.yaml").stat()
        assert stat.S_IMODE(found.st_mode) == 0o640
        assert os.geteuid() != 0 or (found.st_uid, found.st_gid) == (123, 456)
        assert "eth1" in rig.config_path.read_text()
        assert sorted(p.name for p in real.iterdir()) == [".house.yaml.lock", "house.yaml"]
        kept = rig.state_dir / "generations"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o700
        assert {stat.S_IMODE(p.stat().st_mode) for p in kept.iterdir()} == {0o600}
        assert {p.name for p in kept.iterdir()} == {"1.yaml", "2.yaml"}


async def test_fifty_clients_at_once_lose_nothing(rig: Rig, autojump_clock: MockClock) -> None:
    results: list[dict[str, Any]] = []

    async def one(number: int) -> None:
        name = f"v{number}"
        results.append(await apply(rig, lan(name, name), address(name, name, f"10.{number}.0.1/24")))

    async with rig.surroundings(), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(one, number)
        text = rig.config_path.read_text()
        assert all(f"10.{number}.0.1/24" in text for number in range(50))
        items = await generations(rig)
        assert [one["generation"] for one in items] == list(range(51, 0, -1))
        assert sorted(one["generation"] for one in results) == list(range(2, 52))
        assert {(one["added"], one["changed"], one["removed"]) for one in items[:-1]} == {(2, 0, 0)}
        assert [one["resourceCount"] for one in items] == list(range(102, 1, -2))
        assert all(len(one["changes"]) == 2 for one in results), "each is told of its own"
        assert (await rig.ask("/status")).json["status"]["generation"] == 51
        newest = (rig.state_dir / "generations" / "51.yaml").read_text()
        assert newest == text
    applied = [e.event for e in await rig.events() if e.event.topic == "routerd.configuration.applied"]
    assert [e.generation for e in applied] == list(range(1, 52))


async def test_the_last_hundred_are_kept(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(), rig.live():
        for number in range(110):
            await apply(rig, lan("lan", f"v{number}"), noReconcile=True)
        items = await generations(rig)
        assert [one["generation"] for one in items] == [*range(111, 11, -1)] or items[-1]["generation"] == 1
        assert len(items) <= 101
        kept = {int(p.stem) for p in (rig.state_dir / "generations").glob("*.yaml")}
        assert kept == {one["generation"] for one in items}, "what is in force is spared"
        listed = (await rig.ask("/get", subject="ledger", limit=3)).json["ledger"]
        assert listed["integrity"] == "ok"
        assert [one["generation"] for one in listed["generations"]] == [111, 110, 109]
        names = {one["kind"] for one in (await rig.ask("/get", limit=1000)).json["items"]}
        assert "Generation" not in names
    assert not [e for e in await rig.events() if e.event.resource and e.event.resource.kind == "Generation"]


async def test_a_client_that_goes_away_does_not_stop_it(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(links=("eth0", "eth1")), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        session = await dial(str(rig.run_dir / "routerd.sock"))
        body = json.dumps({"candidateYaml": candidate(lan(), address("lan", "lan", "192.168.7.1/24"))})
        await session.begin(control("/apply"), "POST", body.encode())
        await trio.sleep(0.001)
        await session.stream.aclose()
        await until(lambda: rig.addresses("eth1") == ["192.168.7.1/24"], within=30)
        await trio.sleep(15)
        assert (await generations(rig))[0]["phase"] == "Healthy"
    topics = [e.event.topic for e in await rig.events()]
    assert topics.count("routerd.configuration.settled") == 2


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/apply", b"{}", "candidateYaml"),
        ("/apply", b"", "candidateYaml"),
        ("/apply", b'{"candidateYaml": "a", "replce": true}', "replce"),
        ("/apply", b'{"candidateYaml": 7}', "candidateYaml"),
        ("/apply", b'{"candidateYaml": "a", "kind": "PlanRequest"}', "kind"),
        ("/apply", b'{"candidateYaml": "a", "apiVersion": "v1"}', "apiVersion"),
        ("/apply", b'{"candidateYaml": "a", "confirmWithin": "soon"}', "confirmWithin"),
        ("/apply", b'{"candidateYaml": "a", "confirmWithin": "1m", "noReconcile": true}', "confirmWithin"),
        ("/plan", b"[]", None),
        ("/plan", b"{", None),
        ("/validate", b'{"dryRun": true}', "dryRun"),
        ("/rollback", b'{"to": "1"}', "to"),
        ("/delete", b'{"target": "Interface/"}', "target"),
    ],
)
async def test_bodies_that_are_none(
    rig: Rig, autojump_clock: MockClock, path: str, body: bytes, field: str | None
) -> None:
    async with rig.surroundings(), rig.live():
        answer = await post(rig, path, body)
        assert answer.status == 400, answer.body
        assert answer.error.get("field") == field


async def test_the_schema_is_served(rig: Rig, autojump_clock: MockClock) -> None:
    async with rig.surroundings(), rig.live():
        answer = await fetch(str(rig.run_dir / "routerd-status.sock"), "/schema.json")
        assert answer.json == document_schema()


async def test_an_end_of_routerd_does_not_hang_on_a_change(rig: Rig, autojump_clock: MockClock) -> None:
    statuses: list[int] = []

    async def ask() -> None:
        statuses.append((await post(rig, "/apply", candidateYaml=candidate(lan()))).status)

    async with rig.surroundings(links=("eth0", "eth1")):
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery, rig.live():
                await until(lambda: DEFAULT in rig.routes())
                nursery.start_soon(ask)
                await trio.sleep(0.02)
    assert statuses in ([200], [503])


async def test_no_secret_is_told(rig: Rig, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    def client(word: str) -> dict[str, Any]:
        return resource("DHCPv4Client", "wan", interface="wan", sendOptions=[{"code": 90, "secret": word}])

    told: list[bytes] = []
    async with rig.surroundings(), rig.live():
        for path, word in (
            ("/plan", "hunter1"),
            ("/apply", "hunter2"),
            ("/apply", "hunter3"),
            ("/validate", "hunter4"),
        ):
            told.append((await post(rig, path, candidateYaml=candidate(client(word)))).body)
        broken = candidate(client("hunter5")).replace('"secret"', '"secrte"')
        told.append((await post(rig, "/apply", candidateYaml=broken)).body)
        told += [(await rig.ask(f"/generations/{number}")).body for number in (1, 2, 3)]
        told.append((await rig.ask("/get", limit=1000)).body)
        assert b'"before": "***"' in told[2]
        assert b'"after": "***"' in told[2]
    assert not [body for body in told if b"hunter" in body]
    database = b"".join(path.read_bytes() for path in rig.state_dir.glob("routerd.db*"))
    assert b"hunter" not in database
    assert "hunter" not in caplog.text


async def test_what_is_held_is_skipped_and_foreseen_to_be(rig: Rig, autojump_clock: MockClock) -> None:
    held = address("lan", "lan", "192.168.7.1/24", when={"state": {"Interface/lan.phase": {"equals": "Down"}}})
    free = address("dmz", "dmz", "192.168.8.1/24")
    async with rig.surroundings(links=("eth0", "eth1", "eth2")), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        await apply(rig, lan(), lan("dmz", "eth2"))
        wanted = candidate(held, free)
        plan = by_id(await done(rig, "/plan", candidateYaml=wanted))
        result = by_id(await done(rig, "/apply", candidateYaml=wanted))
        for found in (plan, result):
            assert found["IPv4StaticAddress/lan"]["outcome"] == "skipped"
            assert "plan" not in found["IPv4StaticAddress/lan"]
            assert found["IPv4StaticAddress/dmz"]["outcome"] == "changed"
        assert "it waits: " in plan["IPv4StaticAddress/lan"]["warnings"][0]
        assert result["IPv4StaticAddress/lan"]["phase"] == "Disabled"
        assert rig.addresses("eth1") == []


async def test_what_waits_for_each_other_is_foreseen_to_its_end(rig: Rig, autojump_clock: MockClock) -> None:
    """A link that is down first, an address on it, a route by that; and back: route, address, link."""
    route = resource("IPv4Route", "far", destination="10.9.0.0/16", gateway="192.168.7.254")
    things = (lan(adminUp=True, mtu=1400), address("lan", "lan", "192.168.7.1/24"), route)
    async with rig.surroundings(links=("eth0", "eth1")), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        await apply(rig, lan(adminUp=False))
        plan = by_id(await done(rig, "/plan", candidateYaml=candidate(*things)))
        assert plan["Interface/lan"]["plan"] == ["set eth1 administratively up", "set eth1 mtu 1400"]
        assert plan["IPv4StaticAddress/lan"]["plan"] == ["put 192.168.7.1/24 on eth1"]
        [installed] = plan["IPv4Route/far"]["plan"]
        assert installed.startswith("install the route to 10.9.0.0/16 via 192.168.7.254 dev eth1")
        assert (await apply(rig, *things))["phase"] == "Healthy"
        back = by_id(await done(rig, "/rollback", dryRun=True))
        [down, lost] = back["Interface/lan"]["plan"]
        assert down == "set eth1 administratively down"
        assert lost.startswith("with it goes the route to 10.9.0.0/16 via 192.168.7.254")
        assert back["IPv4Route/far"]["outcome"] == "removed"
        assert back["IPv4StaticAddress/lan"]["artifacts"] == [
            {"kind": "Address", "name": "192.168.7.1/24 dev eth1", "action": "delete"}
        ]
        await done(rig, "/rollback")
        assert rig.addresses("eth1") == []
        assert rig.routes() == [DEFAULT]
