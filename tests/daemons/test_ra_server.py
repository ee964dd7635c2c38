"""The server of router advertisements: what it is given it tells, and what hosts were told outlives any end of it."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from routerd.events.log import inline
from routerd.protocols.ndp import wire
from routerd.protocols.ndp.announcement import Announcement, LanPrefix
from routerd.protocols.ndp.memory import AdvertiserRecord, dump
from routerd.protocols.ndp.message import ALL_ROUTERS, NameServers, RouterAdvertisement, RouterSolicitation
from routerd.protocols.ndp.told import Told
from routerd.sim.packets6 import ICMPV6, Packet6, multicast_mac, pack
from routerd.sim.slaac_host import SlaacHost
from tests.daemons.ra_rig import DNS, HOST_MAC, OLD, PREFIX, ROUTER, Rig, announced, rigged
from tests.router.rig import until

TOPIC = "routerd.ra."
DAY = 86400.0


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(tmp_path) as rig:
        yield rig


def told_of(host: SlaacHost, prefix: IPv6Network) -> list[tuple[int, int]]:
    """Valid and preferred lifetime of the prefix, each time that it was told of."""
    return [(one.valid, one.preferred) for _, ra in host.heard for one in ra.prefixes if one.prefix == prefix]


async def test_nothing_is_said_before_there_is_something_to_say(autojump_clock: MockClock, rig: Rig) -> None:
    host = rig.lan_host()
    async with rig.server():
        await until(lambda: rig.status.get("reason") == "Starting")
        await trio.sleep(100)
        assert host.heard == []
        rig.announce(announced(PREFIX))
        await until(lambda: rig.status.get("phase") == "Applied")
        await until(lambda: bool(host.heard))
    assert rig.status["prefix"] == str(PREFIX)
    assert host.preferred(rig.world.now()) and host.default_routers(rig.world.now())
    assert await rig.topics(TOPIC) == ["applied"]


async def test_a_lost_prefix_is_taken_back_at_once(autojump_clock: MockClock, rig: Rig) -> None:
    host = rig.lan_host()
    async with rig.server(announced(OLD)):
        await until(lambda: bool(host.preferred(rig.world.now())))
        await trio.sleep(10)
        rig.announce(announced(PREFIX))
        await trio.sleep(4)
        [own] = host.preferred(rig.world.now())
        assert own in PREFIX
        assert [one["prefix"] for one in rig.status["prefixes"] if one["withdrawn"]] == [str(OLD)]
        await trio.sleep(7300)
        assert [one["prefix"] for one in rig.status["prefixes"]] == [str(PREFIX)]
    assert await rig.topics(TOPIC) == ["applied", "prefix.deprecated", "applied"]


async def test_an_orderly_restart_is_silent(autojump_clock: MockClock, rig: Rig) -> None:
    host = rig.lan_host()
    async with rig.server(announced(PREFIX)):
        await until(lambda: len(host.heard) == 3)
    async with rig.server(announced(PREFIX)):
        await trio.sleep(60)
    assert all(ra.lifetime == 1800 for _, ra in host.heard)
    assert all(preferred > 0 for _, preferred in told_of(host, PREFIX))
    assert "prefix.deprecated" not in await rig.topics(TOPIC)


async def test_a_default_router_that_is_none_in_its_next_life_says_so(autojump_clock: MockClock, rig: Rig) -> None:
    host = rig.lan_host()
    async with rig.server(announced(lifetime=1800)):
        await until(lambda: bool(host.default_routers(rig.world.now())))
    async with rig.server(announced(lifetime=0)):
        await trio.sleep(5)
        assert not host.default_routers(rig.world.now())


async def test_a_lan_that_never_was_told_anything_is_left_in_peace(autojump_clock: MockClock, rig: Rig) -> None:
    host = rig.lan_host()
    for _ in range(2):
        async with rig.server(announced(lifetime=0)):
            await until(lambda: rig.status.get("reason") == "NotYet")
            await trio.sleep(100)
    assert host.heard == []


async def test_the_end_for_good_is_told_three_times(autojump_clock: MockClock, rig: Rig) -> None:
    host = rig.lan_host()
    async with rig.server(announced(PREFIX)):
        await until(lambda: bool(host.heard))
        rig.daemon.leave_for_good()
    await trio.sleep(1)
    assert [ra.lifetime for _, ra in host.heard][-3:] == [0, 0, 0]
    assert host.default_routers(rig.world.now() + 1) == []
    assert host.preferred(rig.world.now()) == [], "and nobody begins anything with its prefix"
    assert host.usable(rig.world.now()), "but connections that there are may end in peace"


@pytest.mark.parametrize("down", [5.0, 1000.0])
@pytest.mark.parametrize("boot", ["", "another boot"])
async def test_after_whatever_end_a_prefix_that_is_ours_no_more_is_taken_back_at_once(
    autojump_clock: MockClock, rig: Rig, tmp_path: Path, down: float, boot: str
) -> None:
    """The file is as it was when power failed: each life is ended without a word."""
    host = rig.lan_host()
    memory = tmp_path / "ra-server" / "lan" / "memory.json"
    async with rig.server(announced(OLD)):
        await until(lambda: bool(host.preferred(rig.world.now())))
        kept = memory.read_bytes()
    memory.write_bytes(kept)
    await trio.sleep(down)
    if boot:
        rig.host.simulated_clock.boot_id = boot
    began = rig.world.now()
    async with rig.server(announced(PREFIX)):
        await until(lambda: bool([ra for at, ra in host.heard if at > began]))
        first = next(ra for at, ra in host.heard if at > began)
    assert {one.prefix: one.preferred > 0 for one in first.prefixes} == {PREFIX: True, OLD: False}
    assert "prefix.deprecated" in await rig.topics(TOPIC)


async def test_what_hosts_are_told_is_on_disk_before_they_are(
    autojump_clock: MockClock, rig: Rig, tmp_path: Path
) -> None:
    memory, host = tmp_path / "ra-server" / "lan" / "memory.json", rig.lan_host()
    on_disk: list[bool] = []
    rig.world.segment("line").witness(lambda frame, now: on_disk.append(b"2001:db8:ff" in memory.read_bytes()))
    async with rig.server(announced(PREFIX)):
        await until(lambda: bool(host.heard))
    assert on_disk and all(on_disk)


async def test_a_disk_that_is_full_is_told_and_hosts_are_told_all_the_same(autojump_clock: MockClock, rig: Rig) -> None:
    async def full(act: Callable[..., Any], *arguments: Any, **how: Any) -> Any:
        if "save" in repr(act):
            raise OSError(errno.ENOSPC, "No space left on device", "memory.json")
        return await inline(act, *arguments, **how)

    host = rig.lan_host()
    rig.run_sync = full
    async with rig.server(announced(PREFIX)):
        await until(lambda: bool(host.heard))
        rig.announce(announced(PREFIX, OLD))
        await trio.sleep(10)
    assert (await rig.topics(TOPIC)).count("memory.unsaved") == 1
    assert "No space left" in rig.status["message"]


async def test_a_damaged_file_is_told_and_costs_nothing_else(
    autojump_clock: MockClock, rig: Rig, tmp_path: Path
) -> None:
    memory, host = tmp_path / "ra-server" / "lan" / "memory.json", rig.lan_host()
    memory.parent.mkdir(parents=True)
    memory.write_bytes(b"{")
    async with rig.server(announced(PREFIX)):
        await until(lambda: bool(host.heard))
    assert (await rig.topics(TOPIC))[0] == "memory.unreadable"


def forgotten(path: Path, how: str) -> None:
    """The file does not say any more what hosts were told."""
    octets = path.read_bytes()
    match how:
        case "lost":
            path.unlink()
        case "torn":
            path.write_bytes(octets[: len(octets) // 2])
        case "empty":
            path.write_bytes(b"")
        case "rotten":
            path.write_bytes(octets[:100] + bytes([octets[100] ^ 1]) + octets[101:])


@pytest.mark.parametrize("how", ["lost", "torn", "empty", "rotten"])
async def test_what_the_file_does_not_say_any_more_the_status_does(
    autojump_clock: MockClock, rig: Rig, tmp_path: Path, how: str
) -> None:
    """Power was cut, the file is damaged, and the prefix is another one now."""
    host, memory = rig.lan_host(), tmp_path / "ra-server" / "lan" / "memory.json"
    told = announced(OLD, name_servers=(NameServers((DNS,), 600),))
    async with rig.server(told):
        await until(lambda: bool(host.preferred(rig.world.now())))
        await until(lambda: rig.status.get("phase") == "Applied")
    forgotten(memory, how)
    began = rig.world.now()
    async with rig.server(announced(PREFIX)):
        await until(lambda: bool([ra for at, ra in host.heard if at > began]))
    first = next(ra for at, ra in host.heard if at > began)
    assert {one.prefix: one.preferred > 0 for one in first.prefixes} == {PREFIX: True, OLD: False}
    assert first.name_servers == (NameServers((DNS,), 0),)
    topics = await rig.topics(TOPIC)
    assert topics.count("memory.unreadable") == 1
    assert topics.index("memory.unreadable") < topics.index("prefix.deprecated")


async def test_what_the_lease_remembers_is_taken_back_though_file_and_status_are_lost(
    autojump_clock: MockClock, rig: Rig
) -> None:
    host = rig.lan_host()
    until_then = rig.world.now() + 600
    async with rig.server(announced(PREFIX, former=((OLD, until_then),))):
        await until(lambda: bool(host.heard))
        assert [one["prefix"] for one in rig.status["prefixes"] if one["withdrawn"]] == [str(OLD)]
    valid, preferred = told_of(host, OLD)[0]
    assert (595 < valid <= 600, preferred) == (True, 0)


async def test_what_another_lan_was_told_is_none_of_this_one_s_business(
    autojump_clock: MockClock, rig: Rig, tmp_path: Path
) -> None:
    """The interface of the resource is another one now."""
    host = rig.lan_host()
    kept = AdvertiserRecord(Told({OLD: None}), "eth7", rig.host.clock.boot_id, rig.world.now(), 2e9)
    memory = tmp_path / "ra-server" / "lan" / "memory.json"
    memory.parent.mkdir(parents=True)
    memory.write_bytes(dump(kept))
    async with rig.server(announced(PREFIX)):
        await until(lambda: bool(host.heard))
    assert told_of(host, OLD) == []
    assert b"eth0" in memory.read_bytes()


async def test_a_renewed_lease_is_no_event(autojump_clock: MockClock, rig: Rig) -> None:
    """Hosts are told of a longer lifetime as a matter of course."""
    host = rig.lan_host()
    async with rig.server():
        for renewal in range(1, 5):
            rig.announce(Announcement((LanPrefix(PREFIX, renewal * 1000.0, renewal * 2000.0),)))
            await trio.sleep(900)
    assert max(host.heard[-1][1].prefixes[0].valid, 0) > 3000
    assert await rig.topics(TOPIC) == ["applied"]


async def test_a_flood_of_questions(autojump_clock: MockClock, rig: Rig) -> None:
    """RFC 4861 §6.2.6: to all at most every three seconds; and few alone, whoever they say to be."""
    segment, sent = rig.world.segment("line"), []
    async with rig.server(announced(PREFIX)):
        await trio.sleep(100)
        segment.witness(lambda frame, now: sent.append(now) if frame[6:12] == rig.world.link("eth0").mac else None)
        asker = segment.attach(HOST_MAC, lambda frame, now: None)
        for number in range(2000):
            source = IPv6Address(f"fe80::1:{number:x}")
            asked = Packet6(source, ALL_ROUTERS, ICMPV6, wire.encode(RouterSolicitation(HOST_MAC)))
            frame = pack(asked, source_mac=HOST_MAC, target_mac=multicast_mac(ALL_ROUTERS))
            asker.send(frame, rig.world.now())
            await trio.sleep(0.01)
    assert len(sent) < 50


async def test_who_asks_is_answered(autojump_clock: MockClock, rig: Rig) -> None:
    host = rig.lan_host()
    async with rig.server(announced(PREFIX)):
        await trio.sleep(120)
        heard = len(host.heard)
        host.ask(rig.world.now())
        await trio.sleep(1)
        assert len(host.heard) == heard + 1


async def test_another_router_on_the_lan_is_told_once(autojump_clock: MockClock, rig: Rig) -> None:
    other = rig.router(RouterAdvertisement(lifetime=1800, managed=True))
    async with rig.server(announced(PREFIX)):
        await until(lambda: rig.status.get("phase") == "Applied")
        for _ in range(5):
            other.advertise(rig.world.now())
            await trio.sleep(1)
    [event] = await rig.events("routerd.ra.other_router")
    assert (event.severity, event.attributes["router"]) == ("warning", str(ROUTER))
    assert event.attributes["inconsistent"] == "managed"


async def test_stop_by_command_ceases_and_start_begins_again(autojump_clock: MockClock, rig: Rig) -> None:
    host = rig.lan_host()
    async with rig.server(announced(PREFIX)):
        await until(lambda: bool(host.heard))
        assert (await rig.face.command("stop", {}, 20, "tester")).succeeded
        assert rig.status["reason"] == "Stopped"
        assert (await rig.because("routerd.ra.prefix.deprecated")).reason == "CommandReceived"
        await trio.sleep(1)
        assert host.default_routers(rig.world.now()) == []
        assert (await rig.face.command("start", {}, 20, "tester")).succeeded
        await trio.sleep(5)
        assert host.default_routers(rig.world.now())


async def test_without_a_carrier_it_waits(autojump_clock: MockClock, rig: Rig) -> None:
    host = rig.lan_host()
    rig.world.pull_cable("eth0")
    async with rig.server(announced(PREFIX)):
        await until(lambda: rig.status.get("reason") == "NoCarrier")
        rig.world.plug("eth0")
        await until(lambda: rig.status.get("phase") == "Applied")
        await until(lambda: bool(host.heard))
