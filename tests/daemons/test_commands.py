"""Commands of a managed client: each is answered by its end, whatever that is (contract rule 7)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from routerd.api.plane import CommandEnd, UnknownCommand
from routerd.daemons.dhcp_daemon import DhcpDaemon
from routerd.daemons.dhcpv4_client import DHCPv4Part
from routerd.events.types import Event
from routerd.protocols.dhcpv4.message import MessageType
from tests.daemons.rig import Rig, at_once, rigged
from tests.router.rig import provider, until


async def event(rig: Rig, end: CommandEnd) -> Event:
    """The event that an answer names."""
    page = await rig.log.read(end.event_id - 1, limit=1)
    return page.events[0].event


async def story(rig: Rig) -> list[str]:
    """What was told of commands."""
    events = [e for e in await rig.events() if e.topic.startswith("routerd.daemon.command.")]
    return [f"{e.attributes['command']} {e.topic.rpartition('.')[2]}" for e in events]


async def test_renew_is_answered_when_the_lease_is_extended(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        end = await rig.command("renew")
        assert (end.accepted, end.succeeded, end.pending) == (True, True, False)
        assert "203.0.113.1 extended 203.0.113.50" in end.message
        told = await event(rig, end)
        assert (told.topic, told.reason) == ("routerd.daemon.command.executed", "CommandExecuted")
        assert (told.actor, told.attributes["command"], told.severity) == ("tester", "renew", "info")
        began = (await rig.log.read(told.causes[0] - 1, limit=1)).events[0].event
        assert (began.topic, began.actor) == ("routerd.daemon.command.received", "tester")
        assert "lease.renewed" in await rig.topics()


@pytest.mark.parametrize("name", ["renew", "rebind"])
async def test_an_exchange_that_nobody_answers_fails(tmp_path: Path, autojump_clock: MockClock, name: str) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        rig.server.settings = provider(silent=True)
        end = await rig.command(name, wait=20)
        assert (end.accepted, end.succeeded, end.pending) == (True, False, False)
        assert (await event(rig, end)).severity == "warning"
        assert rig.status["phase"] == "Bound", "and the lease is as it was"


@pytest.mark.parametrize("wait", [0.0, 1.0])
async def test_past_its_wait_the_caller_knows_that_it_goes_on(
    tmp_path: Path, autojump_clock: MockClock, wait: float
) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        rig.server.settings = provider(silent=True)
        began = trio.current_time()
        end = await rig.command("renew", wait)
        assert trio.current_time() - began == pytest.approx(wait)
        assert (end.accepted, end.pending, end.succeeded) == (True, True, None)
        assert (await event(rig, end)).topic == "routerd.daemon.command.received"
        await trio.sleep(20)
        assert await story(rig) == ["renew received", "renew executed"], "its end is told all the same"


async def test_what_there_is_no_command_for(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        with pytest.raises(UnknownCommand) as unknown:
            await rig.command("flush")
        assert unknown.value.known == ["rebind", "release", "reload", "renew", "start", "stop"]
        assert await story(rig) == []


@pytest.mark.parametrize("name", ["renew", "rebind", "release"])
@pytest.mark.parametrize("wait", [0.0, 10.0])
async def test_what_the_state_does_not_allow_is_refused(
    tmp_path: Path, autojump_clock: MockClock, name: str, wait: float
) -> None:
    async with rigged(tmp_path) as rig:
        rig.server.settings = provider(silent=True)
        async with rig.live():
            await until(lambda: rig.status.get("state") == "Selecting")
            end = await rig.command(name, 10.0)
            assert (end.accepted, end.succeeded) == (False, None)
            assert "there is no lease to" in end.message
            told = await event(rig, end)
            assert (told.topic, told.severity) == ("routerd.daemon.command.rejected", "warning")


async def test_a_second_one_of_the_same_name_is_refused_at_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        rig.server.settings = provider(silent=True)
        ends = await at_once(*[partial(rig.command, "renew", 0.5)] * 3)
        accepted = [end for end in ends if end.accepted]
        refused = [end for end in ends if not end.accepted]
        assert len(accepted) == 1
        assert accepted[0].pending
        assert {end.message for end in refused} == {"renew is under way already"}
        assert not any(end.pending for end in refused), "refused is refused, however short the wait"


async def test_another_exchange_meanwhile_is_the_machines_to_refuse(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        rig.server.settings = provider(silent=True)
        renew, rebind = await at_once(partial(rig.command, "renew", 20), partial(rig.command, "rebind", 20))
        assert {renew.accepted, rebind.accepted} == {True, False}
        refused = renew if not renew.accepted else rebind
        assert "is under way" in refused.message


async def test_release_gives_back_and_ends_what_was_under_way(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        rig.server.settings = provider(silent=True)

        async def release() -> CommandEnd:
            await trio.sleep(2)
            rig.server.settings = provider()
            return await rig.command("release")

        renew, released = await at_once(partial(rig.command, "renew", 20), release)
        assert (renew.accepted, renew.succeeded) == (True, False)
        assert (released.accepted, released.succeeded) == (True, True)
        assert (rig.status["phase"], rig.status["reason"]) == ("Released", "Released")
        assert "currentAddress" not in rig.status
        await trio.sleep(1)
        assert rig.server.heard[MessageType.RELEASE] == 1
        assert not (tmp_path / "dhcpv4-client" / "wan" / "lease.json").exists()
        assert (await rig.command("release")).accepted is False
        assert (await rig.command("start")).succeeded is True
        await rig.bound()


async def test_who_is_stopped_without_a_lease_has_given_back_none(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        await rig.command("release")
        rig.server.settings = provider(silent=True)
        await rig.command("start")
        refused = await rig.command("renew")
        assert (refused.accepted, refused.hint) == (False, "routerctl why DHCPv4Client/wan")
        await rig.command("stop")
        assert (rig.status["phase"], rig.status["reason"]) == ("Idle", "Stopped")


@pytest.mark.req("V4-33")
async def test_stop_and_start(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        assert (await rig.command("start")).message == "the client is running already"
        stopped = await rig.command("stop")
        assert (stopped.accepted, stopped.succeeded, stopped.message) == (True, True, "stopped")
        assert (rig.status["phase"], rig.status["reason"]) == ("Idle", "Stopped")
        assert rig.server.heard[MessageType.RELEASE] == 0
        assert (await rig.command("stop")).message == "the client is stopped already"
        assert "no lease" in (await rig.command("renew")).message
        started = await rig.command("start")
        assert (started.accepted, started.succeeded, started.message) == (True, True, "started")
        await rig.bound()
        assert rig.server.heard[MessageType.DISCOVER] == 1, "it went on with what it had"


@pytest.mark.req("V4-33", "breaks")
async def test_stop_releases_when_the_operator_has_declared_it(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live(release_on_stop=True):
        await rig.bound()
        assert (await rig.command("stop")).succeeded is True
        await trio.sleep(1)
        assert rig.server.heard[MessageType.RELEASE] == 1
        assert "lease.released" in await rig.topics()


async def test_a_start_while_the_link_is_down_has_started(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        await rig.command("stop")
        rig.world.set_link("eth0", admin_up=False)
        end = await rig.command("start")
        assert end.succeeded is True


async def test_reload_is_answered_by_its_outcome(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        end = await rig.command("reload")
        assert (end.succeeded, end.message) == (True, "the configuration was read again")
        rig.reloads.append("router.yaml:3:5: unknown field")
        end = await rig.command("reload")
        assert (end.accepted, end.succeeded, end.message) == (True, False, "router.yaml:3:5: unknown field")
        end = await rig.command("reload", wait=0.1)
        assert end.pending
        await trio.sleep(5)
        assert await story(rig) == ["reload received", "reload executed"] * 3


@pytest.mark.parametrize("name", [*DHCPv4Part.exchanges, "start", "stop", "reload"])
async def test_before_it_runs_everything_is_refused(tmp_path: Path, autojump_clock: MockClock, name: str) -> None:
    async with rigged(tmp_path, links=()) as rig, rig.live():
        await trio.sleep(1)
        began = trio.current_time()
        end = await rig.command(name)
        assert (end.accepted, end.message) == (False, "the client is starting")
        assert trio.current_time() - began < 0.1, "at once"


async def test_the_end_of_the_client_is_the_end_of_its_commands(tmp_path: Path, autojump_clock: MockClock) -> None:
    ends: list[CommandEnd] = []
    async with rigged(tmp_path) as rig:

        async def ask(name: str) -> None:
            ends.append(await rig.command(name, wait=60))

        async with rig.live() as stop:
            await rig.bound()
            rig.server.settings = provider(silent=True)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, "renew")
                nursery.start_soon(ask, "reload")
                await trio.sleep(0.5)
                began = trio.current_time()
                stop()
            assert trio.current_time() - began < 1, "nobody is left waiting"
        assert {(end.accepted, end.succeeded, end.pending) for end in ends} == {(True, False, False)}
        assert sorted(await story(rig)) == ["reload executed", "reload received", "renew executed", "renew received"]
        assert (await rig.command("renew")).message == "the client is stopped"


async def test_a_crash_is_the_end_of_its_commands_and_the_next_life_takes_them_again(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        rig.server.settings = provider(silent=True)

        def crash(self: object, *args: object) -> None:
            raise ValueError("a fault of ours")

        async def fail() -> None:
            await trio.sleep(1)
            with monkeypatch.context() as patch:
                patch.setattr(DhcpDaemon, "_end_commands", crash)
                rig.world.set_link("eth0", mtu=1400)
                await until(lambda: rig.face.phase == "Blocked")
                assert (await rig.command("renew")).message == "the client is blocked"

        end, _ = await at_once(partial(rig.command, "renew", 60), fail)
        assert (end.accepted, end.succeeded) == (True, False)
        assert end.message == "the client crashed: ValueError: a fault of ours"
        rig.server.settings = provider()
        await rig.bound()
        assert (await rig.command("renew")).succeeded is True
    assert "a fault of ours" in caplog.text


async def test_a_client_that_was_stopped_says_so_and_what_there_is_to_do(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        assert rig.face.detail == "Running"
        await rig.command("stop")
        assert (rig.face.phase, rig.face.detail) == ("Running", "stopped by command")
        end = await rig.command("renew")
        assert (end.accepted, end.hint) == (False, "routerctl start DHCPv4Client/wan")
        await rig.command("start")
        await rig.bound()
        assert rig.face.detail == "Running"
        assert (await rig.command("start")).hint == ""


async def test_a_command_goes_back_to_the_request(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        [request] = await rig.log.append(Event("routerd.api.command.requested"))
        await rig.face.command("renew", {}, 10.0, "tester", request)
        received = [e for e in await rig.events() if e.topic == "routerd.daemon.command.received"]
        assert received[-1].causes == (request,)
