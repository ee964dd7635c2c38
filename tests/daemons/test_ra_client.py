"""The client of router advertisements: asks until one answers, tells what it hears, and knows its addresses again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from ipaddress import IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.host import Address
from routerd.protocols.ndp import wire
from routerd.protocols.ndp.message import (
    ALL_NODES,
    MoreSpecificRoute,
    NameServers,
    Preference,
    Prefix,
    RouterAdvertisement,
    SearchDomains,
)
from routerd.sim.packets6 import ICMPV6, Packet6, multicast_mac, pack
from routerd.sim.ra_router import RaRouter
from tests.daemons.ra_rig import DNS, OLD, PREFIX, ROUTER, TOLD, Rig, rigged
from tests.router.rig import until

TOPIC = "routerd.ipv6.ra."


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(tmp_path) as rig:
        yield rig


async def test_it_asks_and_tells_of_whom_it_has_found(autojump_clock: MockClock, rig: Rig) -> None:
    router = rig.router()
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
    status = rig.status
    assert router.asked == 1
    assert (status["defaultGateway"], status["dnsServers"]) == (str(ROUTER), [str(DNS)])
    [prefix] = status["prefixes"]
    assert (prefix["prefix"], prefix["onLink"]) == (str(PREFIX), True)
    assert prefix["preferredUntilMonotonic"] < prefix["validUntilMonotonic"]
    assert status["addresses"] == [prefix["address"]]
    assert IPv6Interface(prefix["address"]).network == PREFIX
    assert await rig.topics(TOPIC) == ["solicit.sent", "router.found", "prefix.learned"]


async def test_a_router_that_dies_without_a_word_gives_way_to_another(autojump_clock: MockClock, rig: Rig) -> None:
    """RFC 4861 §6.3.6; and comes back when it answers again."""
    better = rig.router(attrs.evolve(TOLD, preference=Preference.HIGH))
    other, mac = IPv6Address("fe80::2"), bytes.fromhex("02005e711307")
    spare = RaRouter(rig.world.timeline, rig.world.segment("line"), mac, other, TOLD)
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
        spare.advertise(rig.world.now())
        await until(lambda: rig.status.get("defaultGateway") == str(ROUTER) and len(rig.status["routers"]) == 2)
        await trio.sleep(300)
        assert rig.status["defaultGateway"] == str(ROUTER)
        better.advertisement = None
        await until(lambda: rig.status["defaultGateway"] == str(other), within=50)
        assert {one["address"]: one["reachable"] for one in rig.status["routers"]} == {
            str(ROUTER): False,
            str(other): True,
        }
        better.advertisement = attrs.evolve(TOLD, preference=Preference.HIGH)
        await until(lambda: rig.status["defaultGateway"] == str(ROUTER), within=50)
    news = [topic for topic in await rig.topics(TOPIC) if topic.startswith("router.")]
    assert news == ["router.found", "router.found", "router.unreachable", "router.reachable"]


async def test_nobody_there_is_said_after_three_questions_and_not_before(autojump_clock: MockClock, rig: Rig) -> None:
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Acquiring")
        assert "state" not in rig.status
        await until(lambda: "state" in rig.status)
    assert rig.status["reason"] == "NoRouter"
    assert await rig.topics(TOPIC) == ["solicit.sent"] * 3


async def test_a_router_that_ceases_is_lost_and_asked_for_again(autojump_clock: MockClock, rig: Rig) -> None:
    router = rig.router()
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
        router.cease(rig.world.now())
        await until(lambda: rig.status.get("phase") == "Acquiring")
        assert rig.status["addresses"], "the prefix was not taken back"
        router.advertisement = TOLD
        await until(lambda: rig.status.get("phase") == "Bound")
    assert "router.lost" in await rig.topics(TOPIC)


async def test_what_is_no_default_router_is_obeyed_in_all_else(autojump_clock: MockClock, rig: Rig) -> None:
    """RFC 4861 §4.2: whoever waits for the M or the O flag (followRA) need not wait for a default router."""
    rig.router(attrs.evolve(TOLD, lifetime=0, managed=True, other=True, mtu=1480))
    async with rig.client():
        await until(lambda: rig.status.get("addresses"))
    status = rig.status
    assert (status["phase"], status["managed"], status["other"], status["mtu"]) == ("Acquiring", True, True, 1480)
    assert "defaultGateway" not in status


async def test_a_prefix_that_is_taken_back_soon_after_the_last_word_is_deprecated_at_once_all_the_same(
    autojump_clock: MockClock, rig: Rig
) -> None:
    """Instants alone may wait for a moment; that something is not preferred any more is none of those."""
    router = rig.router(attrs.evolve(TOLD, prefixes=(Prefix(PREFIX, 86400, 86400),)), interval=600.0)
    router.open(rig.world.now())
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
        assert rig.status["prefixes"][0]["preferred"]
        router.advertisement = attrs.evolve(TOLD, prefixes=(Prefix(PREFIX, 86400, 0),))
        router.advertise(rig.world.now())
        await until(lambda: not rig.status["prefixes"][0]["preferred"], within=1)


async def test_a_prefix_that_is_taken_back_is_deprecated_at_once_and_ends_within_two_hours(
    autojump_clock: MockClock, rig: Rig
) -> None:
    router = rig.router(attrs.evolve(TOLD, prefixes=(Prefix(PREFIX, 86400, 86400),)), interval=600.0)
    router.open(rig.world.now())
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
        router.advertisement = attrs.evolve(TOLD, prefixes=(Prefix(PREFIX, 0, 0),))
        router.advertise(rig.world.now())
        began = rig.host.clock.now()
        await trio.sleep(5)
        [prefix] = rig.status["prefixes"]
        assert prefix["preferredUntilMonotonic"] <= began + 1
        assert prefix["validUntilMonotonic"] == pytest.approx(began + 7200, abs=2)
        await trio.sleep(7200)
        assert rig.status["prefixes"] == []
    assert [t for t in await rig.topics(TOPIC) if t.startswith("prefix")] == [
        "prefix.learned",
        "prefix.deprecated",
        "prefix.lost",
    ]


async def test_the_address_is_the_same_in_every_life_and_known_again(autojump_clock: MockClock, rig: Rig) -> None:
    router = rig.router()
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
    [text] = rig.status["addresses"]
    now = rig.host.clock.now()
    link = rig.world.link("eth0").index
    rig.host.put_address(Address(link, IPv6Interface(text), True, now + 3000, now + 1000))
    router.advertisement = None
    await rig.log.append(gone=[rig.daemon.resource])
    async with rig.client():
        await until(lambda: rig.status.get("addresses") == [text])
        assert "state" not in rig.status
        [prefix] = rig.status["prefixes"]
        assert prefix["validUntilMonotonic"] == now + 3000


async def test_after_a_conflict_there_is_another_address(autojump_clock: MockClock, rig: Rig) -> None:
    rig.router()
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
        [text] = rig.status["addresses"]
        link = rig.world.link("eth0").index
        rig.host.put_address(Address(link, IPv6Interface(text), True, standing="duplicate"))
        await until(lambda: rig.status["addresses"] != [text])
        assert "message" not in rig.status, "all is well again"
    [event] = await rig.events(TOPIC + "address")
    assert (event.topic, event.attributes["address"]) == (f"{TOPIC}address.duplicate", text.partition("/")[0])


async def test_after_a_conflict_that_took_the_address_away_there_is_another(
    autojump_clock: MockClock, rig: Rig
) -> None:
    """As Linux does with one that has a lifetime."""
    rig.router()
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
        [text] = rig.status["addresses"]
        rig.host.elsewhere.add(IPv6Interface(text).ip)
        end = rig.host.clock.now() + 3000
        rig.host.put_address(Address(rig.world.link("eth0").index, IPv6Interface(text), True, end, end))
        await until(lambda: rig.status["addresses"] != [text])
    assert "address.duplicate" in await rig.topics(TOPIC)


async def taken(rig: Rig) -> list[str]:
    """Somebody has each address that is made, until none is made any more; the addresses."""
    tried: list[str] = []
    while rig.status["addresses"]:
        [text] = rig.status["addresses"]
        tried.append(text)
        rig.host.put_address(Address(rig.world.link("eth0").index, IPv6Interface(text), True, standing="duplicate"))
        await until(lambda: tried[-1] not in rig.status["addresses"])
    return tried


async def test_where_every_address_is_somebody_elses_none_is_used(autojump_clock: MockClock, rig: Rig) -> None:
    """RFC 7217 §6: no endless search; it is an error that is told. When the cable was out it is tried anew."""
    rig.router()
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
        tried = await taken(rig)
        await trio.sleep(3600)
        assert (len(tried), len(set(tried)), rig.status["addresses"]) == (4, 4, [])
        [installed] = [one for one in rig.status["conditions"] if one["type"] == "AddressInstalled"]
        assert (installed["status"], installed["reason"]) == ("False", "DuplicateAddress")
        assert "every address that was tried" in rig.status["message"]
        events = await rig.events(TOPIC + "address")
        assert [one.topic.removeprefix(TOPIC) for one in events] == ["address.duplicate"] * 3 + ["address.given_up"]
        assert events[-1].severity == "error"
        rig.world.pull_cable("eth0")
        await trio.sleep(10)
        rig.world.plug("eth0")
        await until(lambda: rig.status["addresses"] == tried[:1])


async def test_after_a_conflict_the_next_life_knows_its_address_again(autojump_clock: MockClock, rig: Rig) -> None:
    """It does not begin anew with the one that somebody has."""
    rig.router()
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
        [first] = rig.status["addresses"]
        index, end = rig.world.link("eth0").index, rig.world.now() + 3000
        rig.host.put_address(Address(index, IPv6Interface(first), True, standing="duplicate"))
        await until(lambda: rig.status["addresses"] != [first])
        [second] = rig.status["addresses"]
        rig.host.remove_address(Address(index, IPv6Interface(first), True))
    rig.host.put_address(Address(index, IPv6Interface(second), True, end, end))
    async with rig.client():
        await trio.sleep(30)
        assert rig.status["addresses"] == [second]


def shout(rig: Rig, message: RouterAdvertisement, number: int, hop_limit: int = 255) -> None:
    """Somebody with this number says this to all on the line."""
    segment = rig.world.segment("line")
    mac, source = b"\x02\x00\x5e\x72" + number.to_bytes(2, "big"), IPv6Address(f"fe80::bad:{number:x}")
    packet = Packet6(source, ALL_NODES, ICMPV6, wire.encode(message), hop_limit)
    port = segment.attach(mac, lambda frame, now: None)
    port.send(pack(packet, source_mac=mac, target_mac=multicast_mac(ALL_NODES)), rig.world.now())
    segment.detach(port)


def rogue(number: int) -> RouterAdvertisement:
    """Everything at once, and each time other things."""
    networks = [IPv6Network(f"2001:db8:{number:x}:{n:x}::/64") for n in range(20)]
    return RouterAdvertisement(
        lifetime=9000 * (number % 2),
        prefixes=tuple(Prefix(one, 86400, 86400) for one in networks[:10]),
        routes=tuple(MoreSpecificRoute(one, 86400) for one in networks[10:]),
        name_servers=(NameServers(tuple(one[1] for one in networks), 86400),),
        search_domains=(SearchDomains(tuple(f"x{number}-{n}.example" for n in range(10)), 86400),),
    )


async def test_a_flood_of_routers_that_do_not_exist(autojump_clock: MockClock, rig: Rig) -> None:
    """Bounded in all that it costs; what is ignored has a name; and who was there before is heard as before."""
    router = rig.router()
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
        [own] = rig.status["addresses"]
        before = rig.log.objects.version
        for number in range(3000):
            shout(rig, rogue(number), number)
            await trio.sleep(0.01)
            if number % 300 == 0:
                router.advertise(rig.world.now())
        status, dropped = rig.status, rig.face.packets.dropped
        bounds = {"routers": 16, "prefixes": 32, "routes": 32, "dnsServers": 8, "domainSearch": 16, "addresses": 32}
        assert {key: len(status[key]) for key in bounds if len(status[key]) > bounds[key]} == {}
        assert own in status["addresses"]
        assert status["defaultGateway"] == str(ROUTER), "of equals the one with the lowest address, and it answers"
        assert dropped["too-often"] > 2900
        assert rig.log.objects.version - before < 60
        router.advertisement = attrs.evolve(TOLD, mtu=1400)
        router.advertise(rig.world.now())
        await until(lambda: rig.status.get("mtu") == 1400, within=5)
    assert len(await rig.events(TOPIC)) < 120


async def test_what_is_too_much_to_tell_is_told_in_one(autojump_clock: MockClock, rig: Rig) -> None:
    rig.router()
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
        for number in range(900):
            shout(rig, RouterAdvertisement(lifetime=600 * (number // 9 % 2)), number % 9)
            await trio.sleep(0.5)
        await trio.sleep(700)
        shout(rig, RouterAdvertisement(lifetime=600), 1)
        await trio.sleep(1)
    topics = await rig.topics(TOPIC)
    assert len(topics) < 230
    assert topics.count("news.omitted") == 1


@pytest.mark.parametrize(
    ("message", "hop_limit", "reason"),
    [
        (RouterAdvertisement(lifetime=0), 255, ""),
        (attrs.evolve(TOLD, prefixes=(Prefix(PREFIX, 0, 0),)), 64, "bad-hop-limit"),
        (attrs.evolve(TOLD, prefixes=(Prefix(PREFIX, 0, 0),)), 1, "bad-hop-limit"),
    ],
)
async def test_a_rogue_that_wants_to_end_what_there_is(
    autojump_clock: MockClock, rig: Rig, message: RouterAdvertisement, hop_limit: int, reason: str
) -> None:
    """Somebody else's lifetime is not our router's; what comes from beyond the link is nothing."""
    rig.router()
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
        addresses = rig.status["addresses"]
        shout(rig, message, 7, hop_limit)
        await trio.sleep(5)
        assert (rig.status["defaultGateway"], rig.status["addresses"]) == (str(ROUTER), addresses)
        assert rig.face.packets.dropped == ({reason: 1} if reason else {})


async def test_a_prefix_that_is_not_on_the_link_makes_an_address_without_a_network(
    autojump_clock: MockClock, rig: Rig
) -> None:
    rig.router(attrs.evolve(TOLD, prefixes=(Prefix(PREFIX, 3600, 1800, on_link=False),)))
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
    [text] = rig.status["addresses"]
    assert IPv6Interface(text).network.prefixlen == 128
    assert IPv6Interface(text).ip in PREFIX


@pytest.mark.parametrize("spec", [{"addresses": False}, {"mode": "kernel"}])
async def test_without_addresses_of_ours_none_is_made(
    autojump_clock: MockClock, rig: Rig, spec: dict[str, object]
) -> None:
    rig.router(attrs.evolve(TOLD, prefixes=(Prefix(PREFIX, 3600, 1800), Prefix(OLD, 3600, 1800, autonomous=False))))
    async with rig.client(**spec):
        await until(lambda: rig.status.get("phase") == "Bound")
    assert rig.status["addresses"] == []
    assert rig.status["conditions"][1]["reason"] == "NoAddress"
    assert {one["prefix"] for one in rig.status["prefixes"]} == {str(PREFIX), str(OLD)}


async def test_what_the_kernel_has_made_is_told(autojump_clock: MockClock, rig: Rig) -> None:
    rig.router()
    index, now = rig.world.link("eth0").index, rig.host.clock.now()
    async with rig.client(mode="kernel"):
        await until(lambda: rig.status.get("phase") == "Bound")
        rig.host.put_address(Address(index, IPv6Interface("2001:db8:ff::77/64"), False, now + 3600, now + 1800))
        await until(lambda: rig.status.get("addresses") == ["2001:db8:ff::77/64"])


async def test_without_a_carrier_it_waits_and_knows_the_link_again(autojump_clock: MockClock, rig: Rig) -> None:
    rig.router()
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
        rig.world.pull_cable("eth0")
        await until(lambda: rig.status.get("reason") == "NoCarrier")
        assert rig.status["addresses"], "a cable that was pulled takes nothing back"
        rig.world.plug("eth0")
        await until(lambda: rig.status.get("phase") == "Bound")
        await trio.sleep(5)
    assert "link.confirmed" in await rig.topics(TOPIC)


async def test_a_flood_of_advertisements_costs_few_statuses(autojump_clock: MockClock, rig: Rig) -> None:
    router = rig.router()
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
        before = rig.log.objects.version
        for _ in range(1000):
            router.advertise(rig.world.now())
            await trio.sleep(0.01)
        assert rig.log.objects.version - before <= 10


async def test_a_router_that_cannot_make_up_its_mind_costs_little(autojump_clock: MockClock, rig: Rig) -> None:
    router = rig.router()
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
        for count in range(1000):
            router.advertisement = attrs.evolve(TOLD, lifetime=1800 * (count % 2))
            router.advertise(rig.world.now())
            await trio.sleep(0.01)
        assert rig.face.packets.dropped["too-often"] > 900
        await trio.sleep(20)
        router.advertise(rig.world.now())
        await until(lambda: rig.status.get("phase") == "Bound")
    assert len(await rig.topics(TOPIC)) < 60


async def test_routes_and_many_routers_are_told(autojump_clock: MockClock, rig: Rig) -> None:
    rig.router(attrs.evolve(TOLD, managed=True, mtu=1492, routes=(MoreSpecificRoute(OLD, 600),)))
    async with rig.client(use_dns=False):
        await until(lambda: rig.status.get("phase") == "Bound")
    status = rig.status
    assert (status["managed"], status["other"], status["mtu"], status["dnsServers"]) == (True, False, 1492, [])
    [route] = status["routes"]
    assert (route["destination"], route["gateway"]) == (str(OLD), str(ROUTER))


async def test_a_secret_that_cannot_be_used_is_told_and_made_anew(
    autojump_clock: MockClock, rig: Rig, tmp_path: Path
) -> None:
    path = tmp_path / "ra-client" / "secret"
    path.parent.mkdir()
    path.write_text("no secret\n")
    rig.router()
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
    assert "secret.unusable" in await rig.topics(TOPIC)
    assert len(bytes.fromhex(path.read_text())) == 16


async def test_it_stops_and_starts_by_command(autojump_clock: MockClock, rig: Rig) -> None:
    rig.router()
    async with rig.client():
        await until(lambda: rig.status.get("phase") == "Bound")
        assert (await rig.face.command("stop", {}, 10, "tester")).succeeded
        assert rig.status["reason"] == "Stopped"
        assert (await rig.because("routerd.resource.status.changed")).reason == "CommandReceived"
        assert not (await rig.face.command("stop", {}, 10, "tester")).accepted
        assert (await rig.face.command("start", {}, 10, "tester")).succeeded
        await until(lambda: rig.status.get("phase") == "Bound")
        assert (await rig.face.command("reload", {}, 10, "tester")).succeeded
