"""The managed DHCPv4 client: its life, its link, its ports, its file, and what of all that is told."""

from __future__ import annotations

import errno
import json
import os
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from routerd.daemons import dhcp_daemon, lease_file
from routerd.daemons.dhcpv4_report import starting_status
from routerd.daemons.inbox import ROOM
from routerd.events.log import inline
from routerd.host import Address as HostAddress
from routerd.host import PutAddress
from routerd.protocols.dhcpv4 import frame, inputs
from routerd.protocols.dhcpv4.message import Message, MessageType, Op
from routerd.resources.options import SendOption
from routerd.shapes.instant import parse_instant
from routerd.shapes.secret import Secret
from tests.daemons.rig import Rig, rigged
from tests.router.rig import GATEWAY, GATEWAY_MAC, LINE, provider, until

LEASED = "203.0.113.50"


def lease_path(rig: Rig) -> Path:
    return rig.directory / "dhcpv4-client" / "wan" / "lease.json"


# A life


async def test_a_life_as_it_is_told(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig:
        async with rig.live():
            assert (rig.face.phase, rig.face.health) == ("Starting", "unknown")
            await rig.bound()
            assert (rig.face.phase, rig.face.health, rig.face.unhealthy_reason) == ("Running", "ok", None)
        assert rig.face.phase == "Stopped"
        assert await rig.topics() == ["discover.sent", "offer.received", "request.sent", "lease.bound"]
        assert await rig.topics("routerd.daemon.lifecycle.") == ["started", "ready", "stopped"]
        assert await rig.phases() == ["Acquiring", "Bound"]
        assert rig.status["currentAddress"] == LEASED, "it will go on with it: no word of an end"
        assert rig.server.violations == []
        mine = [e for e in await rig.events() if e.source == rig.daemon.source]
        assert mine[0].causes == ()
        assert all(e.causes for e in mine[1:-1]), "each but the end has what led to it as its cause"


@pytest.mark.req("V4-33")
async def test_a_life_that_ends_gives_nothing_back_and_the_next_goes_on(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path) as rig:
        for _ in range(3):
            async with rig.live(release_on_stop=True):
                await rig.bound()
                await trio.sleep(10)
        assert rig.server.heard[MessageType.RELEASE] == 0
        assert rig.server.heard[MessageType.DISCOVER] == 1
        assert (await rig.topics()).count("lease.resumed") == 2
        assert "Acquiring" not in (await rig.phases())[1:]


@pytest.mark.req("V4-33", "breaks")
@pytest.mark.parametrize("wish", [True, False])
async def test_a_client_that_leaves_for_good_releases_if_the_operator_wants_that(
    tmp_path: Path, autojump_clock: MockClock, wish: bool
) -> None:
    async with rigged(tmp_path) as rig:
        async with rig.live(release_on_stop=wish):
            await rig.bound()
            rig.daemon.part.leave_for_good()
        await trio.sleep(1)
        assert rig.server.heard[MessageType.RELEASE] == (1 if wish else 0)
        assert lease_path(rig).exists() is not wish


async def test_the_goodbye_is_bounded_though_the_line_hangs(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig:
        async with rig.live(release_on_stop=True) as end:
            await rig.bound()
            rig.endpoints.sends_take = 1e9
            rig.daemon.part.leave_for_good()
            began = trio.current_time()
            end()
        assert trio.current_time() - began < 5, "X-3"


# Nothing is said before there is something to say


async def test_between_its_making_and_its_first_step_nothing_is_said(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Then the machine is stopped and has no lease: to say so would cost the address of the life before."""
    async with rigged(tmp_path, links=("eth0", "eth1")) as rig:
        async with rig.live():
            await rig.bound()
        rig.endpoints.slow = 5
        async with rig.live():
            await trio.sleep(2)
            assert rig.face.phase == "Starting"
            other = rig.world.link("eth1").index
            await rig.host.apply(PutAddress(HostAddress(other, IPv4Interface("192.0.2.1/24"))))
            rig.daemon.refresh()
            await trio.sleep(2)
            assert rig.status["phase"] == "Bound"
            assert rig.status["currentAddress"] == LEASED
            await trio.sleep(10)
        assert "Idle" not in await rig.phases()


@pytest.mark.req("C4", "breaks")
async def test_every_way_a_lease_file_can_be_no_use_is_told_and_survived(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path) as rig:
        lease_path(rig).parent.mkdir(parents=True)
        for octets in (b"", b"{", b"\0" * 5000):
            lease_path(rig).write_bytes(octets)
            async with rig.live():
                await rig.bound()
                await rig.command("release")
                await trio.sleep(1)
        assert (await rig.topics()).count("lease.unreadable") == 3


# Its link


async def test_it_waits_for_its_interface_and_says_so(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path, links=()) as rig, rig.live():
        await trio.sleep(100)
        assert (rig.status["phase"], rig.status["reason"]) == ("Pending", "LinkAbsent")
        assert rig.face.unhealthy_reason == "Starting: there is no interface eth0"
        rig.generation = 2
        rig.daemon.refresh()
        await trio.sleep(1)
        assert rig.status["observedGeneration"] == 2
        rig.world.add_link("eth0", LINE, admin_up=True)
        await rig.bound()


async def test_it_ends_while_it_waits_for_its_interface(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path, links=()) as rig:
        async with rig.live():
            await trio.sleep(10)
            began = trio.current_time()
        assert trio.current_time() - began < 1
        assert await rig.topics("routerd.daemon.lifecycle.") == ["started", "stopped"]


@pytest.mark.parametrize("mac", [b"\2" * 20, b"\2" * 4])
async def test_an_interface_without_an_ethernet_address_is_waited_for_and_no_crash(
    tmp_path: Path, autojump_clock: MockClock, mac: bytes
) -> None:
    async with rigged(tmp_path, links=()) as rig, rig.live():
        await trio.sleep(1)
        rig.world.add_link("eth0", "elsewhere", mac, admin_up=True)
        await trio.sleep(1)
        assert (rig.status["phase"], rig.status["reason"]) == ("Pending", "NoEthernet")
        rig.world.add_link("eth1", "elsewhere", admin_up=True)
        await trio.sleep(1)
        assert rig.status["reason"] == "NoEthernet", "what happens to others says nothing of ours"
        rig.world.remove_link("eth0")
        await trio.sleep(1)
        assert rig.status["reason"] == "LinkAbsent"
        rig.world.add_link("eth0", LINE, admin_up=True)
        await rig.bound()
        assert await rig.topics("routerd.daemon.lifecycle.") == ["started", "ready"]


async def test_a_link_that_is_down_at_first(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path, links=()) as rig:
        rig.world.add_link("eth0", LINE, admin_up=False)
        async with rig.live():
            await until(lambda: rig.status.get("reason") == "NoCarrier")
            assert rig.status["phase"] == "Pending"
            assert rig.face.health == "degraded"
            rig.world.set_link("eth0", admin_up=True)
            await rig.bound()


@pytest.mark.req("C11", "breaks")
async def test_a_link_that_is_set_down_keeps_the_lease_and_up_again_confirms_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        rig.world.set_link("eth0", admin_up=False)
        await trio.sleep(10)
        assert (rig.status["phase"], rig.status["reason"]) == ("Bound", "NoCarrier")
        assert rig.status["currentAddress"] == LEASED
        rig.world.set_link("eth0", admin_up=True)
        await trio.sleep(5)
        assert rig.status["reason"] == "Bound"
        assert "lease.lost" not in await rig.topics()


@pytest.mark.req("C14", "breaks")
async def test_a_card_that_is_replaced_gets_new_ports_and_is_the_same_client(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        rig.world.remove_link("eth0")
        await trio.sleep(1)
        assert rig.endpoints.taps == []
        assert rig.status["phase"] == "Pending"
        rig.world.add_link("eth0", LINE, bytes.fromhex("020000aabbcc"), admin_up=True)
        await rig.bound()
        assert rig.endpoints.opened == ["eth0", "eth0"]
        assert rig.status["currentAddress"] == LEASED, "the server knows who it is"
        assert rig.server.violations == []
        topics = await rig.topics()
        assert topics.index("lease.lost") < topics.index("discover.sent", 2)


@pytest.mark.req("C14")
async def test_another_mac_on_the_same_link_begins_anew(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        rig.world.set_link("eth0", mac=bytes.fromhex("020000aabbcc"))
        await trio.sleep(1)
        await rig.bound()
        assert rig.endpoints.opened == ["eth0", "eth0"]
        assert (await rig.topics()).count("lease.bound") == 2


async def test_a_renamed_link_is_another_ones(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        rig.world.set_link("eth0", name="eth9")
        await trio.sleep(1)
        assert "currentAddress" not in rig.status
        rig.world.set_link("eth9", name="eth0")
        await rig.bound()


async def test_the_address_is_said_to_be_on_the_interface_when_it_is(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        assert rig.status["conditions"][1]["reason"] == "NotYet"
        own = HostAddress(rig.world.link("eth0").index, IPv4Interface(f"{LEASED}/24"))
        rig.host.put_address(own)
        await trio.sleep(1)
        assert rig.status["conditions"][1]["reason"] == "OnInterface"
        rig.host.remove_address(own)
        await trio.sleep(1)
        assert rig.status["conditions"][1]["status"] == "False"
        rig.host.put_address(own)
        await trio.sleep(1)
        assert (await rig.topics()).count("applied") == 2
        [first, _] = [e for e in await rig.events() if e.topic == "routerd.dhcpv4.client.applied"]
        assert first.attributes == {"currentAddress": LEASED, "defaultGateway": "203.0.113.1", "dryRun": "false"}


async def test_an_address_that_was_there_before_the_link_had_its_name_is_seen(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path, links=()) as rig, rig.live():
        await trio.sleep(1)
        made = rig.world.add_link("wlan7", LINE, admin_up=True)
        rig.host.put_address(HostAddress(made.index, IPv4Interface(f"{LEASED}/24")))
        rig.world.set_link("wlan7", name="eth0")
        await rig.bound()
        assert rig.status["conditions"][1]["reason"] == "OnInterface"


# Its ports


@pytest.mark.req("V4-38")
async def test_taps_are_open_as_the_state_wants_them(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path, lease_time=1000) as rig, rig.live():
        rig.server.settings = provider(1000, silent=True)
        await trio.sleep(0.001)
        assert rig.endpoints.taps == [], "in INIT nobody listens"
        await until(lambda: rig.status.get("state") == "Selecting")
        assert rig.endpoints.taps == ["dhcpv4"]
        rig.server.settings = provider(1000)
        await rig.bound()
        assert rig.endpoints.taps == ["arp"]
        rig.server.settings = provider(1000, silent=True)
        await until(lambda: rig.status["state"] == "Rebinding", within=1000)
        assert sorted(rig.endpoints.taps) == ["arp", "dhcpv4"]
        await rig.command("stop")
        await trio.sleep(1)
        assert rig.endpoints.taps == []


@pytest.mark.parametrize("number", [errno.EADDRINUSE, errno.EPERM])
async def test_ports_that_it_may_not_have_are_a_matter_for_the_supervisor(
    tmp_path: Path, autojump_clock: MockClock, number: int
) -> None:
    taken = True

    def before_open(what: str) -> None:
        if what == "udp" and taken:
            raise OSError(number, os.strerror(number))

    async with rigged(tmp_path) as rig:
        rig.endpoints.before_open = before_open
        async with rig.live():
            await trio.sleep(2)
            assert (rig.face.phase, rig.face.health) == ("Blocked", "failed")
            reason = rig.face.unhealthy_reason
            assert reason is not None
            assert os.strerror(number) in reason
            taken = False
            await rig.bound()
            assert (rig.face.phase, rig.face.unhealthy_reason) == ("Running", None)


async def test_a_device_that_vanishes_while_its_ports_are_opened_is_no_crash(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    def vanish(what: str) -> None:
        rig.endpoints.before_open = lambda what: None
        rig.world.remove_link("eth0")
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    async with rigged(tmp_path) as rig:
        rig.endpoints.before_open = vanish
        async with rig.live():
            await trio.sleep(10)
            assert rig.face.phase == "Running"
            rig.world.add_link("eth0", LINE, admin_up=True)
            await rig.bound()
        assert await rig.topics("routerd.daemon.lifecycle.") == ["started", "ready", "stopped"]


async def test_a_tap_that_cannot_be_opened_is_tried_again_with_the_next_packet(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    left = 3

    def before_open(what: str) -> None:
        nonlocal left
        if what == "dhcpv4" and left:
            left -= 1
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    async with rigged(tmp_path) as rig:
        rig.endpoints.before_open = before_open
        async with rig.live():
            await trio.sleep(1.5)
            assert rig.status["lastError"] == "cannot listen on eth0: Cannot allocate memory"
            await rig.bound()
            assert "lastError" not in rig.status


@pytest.mark.req("V4-31", "breaks")
@pytest.mark.req("V4-39", "breaks")
@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EPERM, errno.ENOBUFS])
async def test_a_renewal_that_cannot_be_sent_ends_in_a_broadcast(
    tmp_path: Path, autojump_clock: MockClock, number: int
) -> None:
    def before_send(what: str) -> None:
        if what == "udp":
            raise OSError(number, os.strerror(number))

    async with rigged(tmp_path, lease_time=1000) as rig, rig.live():
        await rig.bound()
        rig.endpoints.before_send = before_send
        await trio.sleep(990)
        assert rig.status["phase"] == "Bound"
        assert await rig.topics("routerd.daemon.lifecycle.") == ["started", "ready"]
        assert json.loads(rig.face.observed["dropped"])["send-failed"] >= 2
        assert "lease.rebound" in await rig.topics()


@pytest.mark.req("V4-39", "breaks")
async def test_nothing_can_be_sent_for_a_while(tmp_path: Path, autojump_clock: MockClock) -> None:
    def before_send(what: str) -> None:
        raise OSError(errno.ENETDOWN, os.strerror(errno.ENETDOWN))

    async with rigged(tmp_path) as rig:
        rig.endpoints.before_send = before_send
        async with rig.live():
            await trio.sleep(100)
            assert rig.status["phase"] == "Acquiring"
            rig.endpoints.before_send = lambda what: None
            await rig.bound()


# What it ignores


@pytest.mark.req("C6", "breaks")
async def test_what_is_ignored_is_counted_and_the_first_of_each_kind_told(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        rig.server.settings = provider(silent=True)
        await until(lambda: rig.status.get("state") == "Selecting")
        neighbour = rig.world.segment(LINE).attach(b"\2\0\0\0\0\x99", lambda frame, now: None)
        stray = _frame(rig, b"no message of DHCP")
        for _ in range(5):
            neighbour.send(stray, rig.world.now())
        rig.server.settings = provider()
        await rig.bound()
        [told] = [e for e in await rig.events() if e.topic == "routerd.dhcpv4.client.packet.dropped"]
        assert told.severity == "debug"
        counts = json.loads(rig.face.observed["dropped"])
        assert counts == {told.attributes["cause"]: 5}


def _frame(rig: Rig, payload: bytes) -> bytes:
    return frame.pack(
        payload,
        source_mac=GATEWAY_MAC,
        target_mac=b"\xff" * 6,
        source=GATEWAY,
        target=GATEWAY + 254,
        source_port=67,
        target_port=68,
        dscp=0,
        identification=0,
    )


@pytest.mark.req("C17", "breaks")
async def test_a_flood_costs_neither_memory_nor_the_lease(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        rig.endpoints.sends_take = 60
        renewed: list[Any] = []

        async def renew() -> None:
            renewed.append(await rig.command("renew", wait=60))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(renew)
            await trio.sleep(1)  # the machine is in a step that hangs
            stray = Message(Op.BOOTREPLY, MessageType.ACK, 1, rig.world.link("eth0").mac)
            for _ in range(ROOM * 3):
                rig.daemon.inbox.deliver(inputs.Received(stray, provider().server_id))
            assert rig.daemon.inbox.waiting <= ROOM
            rig.world.set_link("eth0", mtu=1400)
            rig.endpoints.sends_take = 0
        assert json.loads(rig.face.observed["dropped"])["inbox-full"] > ROOM
        assert rig.status["currentAddress"] == LEASED


# Its file


@pytest.mark.req("C5", "breaks")
async def test_a_lease_that_cannot_be_saved_is_used_all_the_same_and_told_once(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    async with rigged(tmp_path, lease_time=600) as rig:
        with monkeypatch.context() as patch:
            patch.setattr(lease_file, "save", full)
            async with rig.live():
                await rig.bound()
                await trio.sleep(2000)
                assert rig.status["currentAddress"] == LEASED
        topics = await rig.topics()
        assert topics.count("lease.unsaved") == 1
        assert topics.count("lease.renewed") > 3


async def test_a_disk_that_hangs_holds_up_neither_status_nor_timers(tmp_path: Path, autojump_clock: MockClock) -> None:
    hangs = False

    async def run_sync(function: Any, *args: Any, **options: Any) -> Any:
        if hangs:
            await trio.sleep_forever()
        return await inline(function, *args)

    async with rigged(tmp_path, lease_time=600) as rig:
        rig.run_sync = run_sync
        rig.server.settings = provider(600, silent=True)
        async with rig.live():
            await until(lambda: rig.status.get("state") == "Selecting")
            hangs = True
            rig.server.settings = provider(600)
            await until(lambda: rig.status.get("phase") == "Bound", within=20)
            await trio.sleep(1000)
            assert rig.status["currentAddress"] == LEASED
        assert (await rig.topics()).count("lease.unsaved") == 1


@pytest.mark.req("C2", "breaks")
async def test_a_clock_that_is_set_changes_the_instants_and_nothing_else(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        before, kept = rig.status, lease_path(rig).read_bytes()
        rig.host.simulated_clock.step_wall(86400 * 365)
        rig.daemon.refresh()
        await trio.sleep(1)
        after = rig.status
        moved = (parse_instant(after["expiresAt"]) - parse_instant(before["expiresAt"])) / 1e9
        assert moved == pytest.approx(86400 * 365, abs=1)
        assert after["expiresAtMonotonic"] == before["expiresAtMonotonic"]
        assert lease_path(rig).read_bytes() != kept, "or the next boot would think the lease a year old"
        assert json.loads(lease_path(rig).read_bytes())["wall"] > json.loads(kept)["wall"] + 86400 * 364
        told = len(await rig.events())
        rig.daemon.refresh()
        await trio.sleep(1)
        assert len(await rig.events()) == told


@pytest.mark.req("C16")
async def test_a_secret_of_the_line_is_nowhere_to_be_seen(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with rigged(tmp_path, lease_time=600) as rig:
        async with rig.live(send_options=(SendOption(code=90, secret=Secret("hunter2hunter2")),)):
            await rig.bound()
            await trio.sleep(1000)
        seen = repr(await rig.events()) + repr(rig.status) + repr(rig.face.observed) + repr(rig.daemon._client)
        seen += "".join(repr(octets) for octets in _contents(tmp_path))
        assert "hunter2" not in seen + caplog.text
        assert b"hunter2".hex() not in seen


def _contents(directory: Path) -> list[bytes]:
    return [place.read_bytes() for place in directory.rglob("*") if place.is_file()]


# Crashes


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Puts a fault into the client: each word in the list makes one step that sends a message of that type raise."""
    planted: list[str] = []
    send = dhcp_daemon.DhcpDaemon._end_commands

    def end_commands(self: Any, client: Any, said: Any) -> None:
        for output in said:
            if type(output).__name__ in planted:
                planted.remove(type(output).__name__)
                raise ValueError("a fault of ours")
        send(self, client, said)

    monkeypatch.setattr(dhcp_daemon.DhcpDaemon, "_end_commands", end_commands)
    return planted


async def test_a_crash_is_an_error_until_it_runs_again_and_costs_no_lease(
    tmp_path: Path, autojump_clock: MockClock, faulty: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with rigged(tmp_path, lease_time=600) as rig, rig.live():
        await rig.bound()
        faulty.append("Extended")
        await until(lambda: rig.status["phase"] == "Error", within=600)
        assert (rig.status["reason"], rig.status["lastError"]) == ("CrashLoop", "ValueError: a fault of ours")
        assert rig.status["currentAddress"] == LEASED
        assert rig.status["conditions"][0]["status"] == "Unknown"
        assert (rig.face.phase, rig.face.health) == ("Blocked", "failed")
        assert rig.face.unhealthy_reason == "Blocked: ValueError: a fault of ours"
        await rig.bound()
        assert (rig.face.phase, rig.face.unhealthy_reason) == ("Running", None)
        assert "lastError" not in rig.status
        assert rig.server.heard[MessageType.DISCOVER] == 1
    assert "a fault of ours" in caplog.text


async def test_what_was_said_before_a_crash_is_written(
    tmp_path: Path, autojump_clock: MockClock, faulty: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    faulty.append("Bound")
    async with rigged(tmp_path) as rig, rig.live():
        await until(lambda: rig.face.phase == "Blocked")
        assert (await rig.topics())[-1] == "lease.bound"
        assert lease_path(rig).exists(), "the lease is not forgotten over it"
        await rig.bound()
        assert rig.server.heard[MessageType.DISCOVER] == 1
    assert len(caplog.records) >= 1


async def test_a_crash_before_it_has_spoken_leaves_the_question_open(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(what: str) -> None:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

    async with rigged(tmp_path) as rig:
        rig.make()
        await rig.log.append(status={rig.daemon.resource: _starting()})
        rig.endpoints.before_open = refuse
        async with rig.live():
            await until(lambda: rig.status["phase"] == "Error")
            assert "state" not in rig.status
    assert len(caplog.records) >= 1


def _starting() -> dict[str, Any]:
    return dict(starting_status("wan", "eth0", 1, "Starting"))
