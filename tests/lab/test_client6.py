"""The DHCPv6 client's machine on a real link, without routerd, against servers that we did not write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path

import attrs
import pytest

from routerd.protocols.dhcpv6.association import Asset, Association, Kind
from routerd.protocols.dhcpv6.client import Client
from routerd.protocols.dhcpv6.inputs import Conflict, LinkDown, LinkUp, Release, Renew
from routerd.protocols.dhcpv6.message import MessageType
from routerd.protocols.dhcpv6.outputs import (
    Bound,
    Deprecated,
    Extended,
    Finished,
    Informed,
    Lost,
    Resumed,
    Send,
)
from routerd.protocols.dhcpv6.settings import Wanted
from tests.lab.driven import Driven, Wan, dhcpv6, wan
from tests.lab.netns import Namespace, wire
from tests.lab.servers6 import DELEGATING, SERVER, Terms6, any_address, dnsmasq, forget, kea

pytestmark = pytest.mark.lab

NA, PD, PD2 = Association(Kind.NA, 1), Association(Kind.PD, 1), Association(Kind.PD, 2)
ADDRESS, PREFIX, PREFIX2 = Wanted(NA), Wanted(PD, IPv6Network("::/56")), Wanted(PD2)
TERMS = Terms6()
MOVED = attrs.evolve(TERMS, pool=IPv6Network("2001:db8:8000::/36"))

delegating = pytest.mark.parametrize("server", DELEGATING)
every_server = pytest.mark.parametrize("server", ["kea", "dhcpd", "dnsmasq"])


@pytest.fixture
def isp(namespaces: Callable[[str], Namespace]) -> Namespace:
    return namespaces("isp")


@pytest.fixture
async def link(isp: Namespace, namespaces: Callable[[str], Namespace]) -> AsyncIterator[Wan]:
    """The client's end of a cable whose other end is ready for a server."""
    router = namespaces("rtr")
    wire(isp, "isp0", router, "wan0")
    isp.ip("addr", "add", f"{SERVER}/64", "dev", "isp0", "nodad")
    await wan(isp, "isp0")
    yield await wan(router, "wan0")


def asset(client: Driven[Client], association: Association) -> Asset:
    """What the client has in one association."""
    (lease,) = client.machine.bindings[association].leases
    return lease.asset


async def settled(client: Driven[Client], *associations: Association) -> None:
    """Wait until it is silent, with all of these."""
    await client.until(lambda: at_rest(client) and client.machine.bindings.keys() == set(associations))


def is_of(terms: Terms6, client: Driven[Client]) -> bool:
    """Whether its prefix is out of the pool of these terms."""
    prefix = asset(client, PD) if PD in client.machine.bindings else None
    return isinstance(prefix, IPv6Network) and prefix.subnet_of(terms.pool)


def at_rest(client: Driven[Client]) -> bool:
    return type(client.machine.state).__name__ == "Bound"


def asked(client: Driven[Client], since: int = 0) -> list[MessageType]:
    """What it sent, from its n-th word on."""
    return [said.message.type for said in client.heard(Send, since)]


@pytest.mark.req("V6-3")
@pytest.mark.req("V6-13")
@delegating
async def test_an_address_and_two_prefixes_in_one_exchange(
    server: str, isp: Namespace, link: Wan, tmp_path: Path
) -> None:
    with DELEGATING[server](isp, "isp0", tmp_path, TERMS):
        async with dhcpv6(link, ADDRESS, PREFIX, PREFIX2) as client:
            await settled(client, NA, PD, PD2)
            prefixes = {asset(client, PD), asset(client, PD2)}
            assert asset(client, NA) in TERMS.link
            assert len(prefixes) == 2
            for prefix in prefixes:
                assert isinstance(prefix, IPv6Network)
                assert (prefix.prefixlen, prefix.subnet_of(TERMS.pool)) == (TERMS.length, True)
            information = client.machine.information
            assert information is not None
            assert (information.dns_servers, information.search) == ((IPv6Address(TERMS.dns),), (TERMS.search,))
            binding = client.machine.bindings[PD]
            t1, t2 = binding.t1, binding.t2
            assert t1 is not None
            assert t2 is not None
            assert (round(t1 - binding.obtained_at), round(t2 - binding.obtained_at)) == (TERMS.t1, TERMS.t2)
            assert asked(client).count(MessageType.REQUEST) == 1


@every_server
async def test_an_address_alone(server: str, isp: Namespace, link: Wan, tmp_path: Path) -> None:
    with any_address(isp, "isp0", tmp_path, server, TERMS):
        async with dhcpv6(link, ADDRESS) as client:
            await settled(client, NA)
            assert asset(client, NA) in TERMS.link


@pytest.mark.req("V6-17")
@every_server
async def test_renewed_at_t1(server: str, isp: Namespace, link: Wan, tmp_path: Path) -> None:
    wanted = (ADDRESS,) if server == "dnsmasq" else (ADDRESS, PREFIX)
    with any_address(isp, "isp0", tmp_path, server, TERMS):
        async with dhcpv6(link, *wanted) as client:
            await settled(client, *(one.association for one in wanted))
            before = {key: binding.content for key, binding in client.machine.bindings.items()}
            mark, binding = len(client.said), client.machine.bindings[NA]
            assert binding.t1 is not None
            await client.sleep(binding.t1 - client.now + 1)
            await client.until(lambda: at_rest(client) and len(client.heard(Extended, mark)) == len(wanted))
            assert asked(client, mark) == [MessageType.RENEW]
            assert {said.by for said in client.heard(Extended, mark)} == {"renew"}
            assert {key: one.content for key, one in client.machine.bindings.items()} == before


@pytest.mark.req("V6-17")
async def test_at_t2_everybody_is_asked(isp: Namespace, link: Wan, tmp_path: Path) -> None:
    """The server died before T1; another one with its leases is there past T2."""
    async with dhcpv6(link, PREFIX) as client:
        with kea(isp, "isp0", tmp_path, TERMS):
            await settled(client, PD)
            before, mark = client.machine.bindings[PD], len(client.said)
        await client.sleep(TERMS.t1)
        assert asked(client, mark) == [MessageType.RENEW]
        with kea(isp, "isp0", tmp_path, attrs.evolve(TERMS, server=2)):
            await client.sleep(TERMS.t2 - TERMS.t1)
            extended = (await client.until(lambda: client.heard(Extended, mark)))[0]
    assert asked(client, mark) == [MessageType.RENEW, MessageType.REBIND]
    assert (extended.by, extended.binding.content) == ("rebind", before.content)
    assert extended.binding.server_id != before.server_id


@pytest.mark.req("V6-40")
@delegating
async def test_after_a_restart_a_prefix_is_confirmed_by_rebind(
    server: str, isp: Namespace, link: Wan, tmp_path: Path
) -> None:
    with DELEGATING[server](isp, "isp0", tmp_path, TERMS):
        async with dhcpv6(link, ADDRESS, PREFIX) as first:
            await settled(first, NA, PD)
        async with dhcpv6(link, ADDRESS, PREFIX, remembered=first.machine.memory) as second:
            assert len(second.heard(Resumed)) == 2, "what was held is held on, before anybody said a word"
            await second.until(lambda: len(second.heard(Extended)) == 2)
            assert asked(second) == [MessageType.REBIND]
            assert (asset(second, NA), asset(second, PD)) == (asset(first, NA), asset(first, PD))


@pytest.mark.req("V6-40")
@every_server
async def test_after_a_restart_addresses_are_confirmed(server: str, isp: Namespace, link: Wan, tmp_path: Path) -> None:
    with any_address(isp, "isp0", tmp_path, server, TERMS):
        async with dhcpv6(link, ADDRESS) as first:
            await settled(first, NA)
        async with dhcpv6(link, ADDRESS, remembered=first.machine.memory) as second:
            await second.until(lambda: at_rest(second) and MessageType.CONFIRM in asked(second))
            assert asked(second) == [MessageType.CONFIRM], "answered, and nothing else was asked"
            assert asset(second, NA) == asset(first, NA)


@pytest.mark.req("V6-40")
async def test_a_cable_that_was_out_for_a_while(isp: Namespace, link: Wan, tmp_path: Path) -> None:
    with kea(isp, "isp0", tmp_path, TERMS):
        async with dhcpv6(link, PREFIX) as client:
            await settled(client, PD)
            before, mark = asset(client, PD), len(client.said)
            await client.tell(LinkDown())
            await client.sleep(60)
            await client.tell(LinkUp(link.index, link.mac, link.link_local))
            await client.until(lambda: client.heard(Extended, mark))
            assert (asset(client, PD), client.heard(Lost)) == (before, [])


@pytest.mark.req("V6-40", "breaks")
async def test_after_a_restart_another_server_may_confirm(isp: Namespace, link: Wan, tmp_path: Path) -> None:
    with kea(isp, "isp0", tmp_path, TERMS):
        async with dhcpv6(link, PREFIX) as first:
            await settled(first, PD)
    with kea(isp, "isp0", tmp_path, attrs.evolve(TERMS, server=2)):
        async with dhcpv6(link, PREFIX, remembered=first.machine.memory) as second:
            await second.until(lambda: second.heard(Extended))
    before, after = first.machine.bindings[PD], second.machine.bindings[PD]
    assert (after.content, after.server_id != before.server_id) == (before.content, True)


def told_the_lan(client: Driven[Client], since: int = 0) -> list[Asset]:
    """Of which prefixes it said that they are not to be used any more."""
    lost, deprecated = client.heard(Lost, since), client.heard(Deprecated, since)
    return [*(said.lease.asset for said in lost), *(said.lease.asset for said in deprecated)]


@pytest.mark.req("V6-20", "breaks")
@pytest.mark.req("V6-21", "breaks")
@pytest.mark.req("V6-22", "breaks")
@delegating
async def test_the_provider_renumbers(server: str, isp: Namespace, link: Wan, tmp_path: Path) -> None:
    """Other prefixes than before, and the leases are forgotten: at the next Renew the new one is taken, and of the old
    one the LAN must hear."""
    async with dhcpv6(link, PREFIX) as client:
        with DELEGATING[server](isp, "isp0", tmp_path, TERMS):
            await settled(client, PD)
        before, mark = asset(client, PD), len(client.said)
        forget(tmp_path)
        with DELEGATING[server](isp, "isp0", tmp_path, MOVED):
            await client.tell(Renew())
            await client.until(lambda: at_rest(client) and is_of(MOVED, client))
    assert told_the_lan(client, mark) == [before]
    assert [former.lease.asset for former in client.machine.former] == [before], "for the LAN to hear, over restarts"


@pytest.mark.req("V6-22", "breaks")
@pytest.mark.req("V6-40", "breaks")
@delegating
async def test_the_provider_renumbers_while_we_are_away(server: str, isp: Namespace, link: Wan, tmp_path: Path) -> None:
    with DELEGATING[server](isp, "isp0", tmp_path, TERMS):
        async with dhcpv6(link, PREFIX) as first:
            await settled(first, PD)
    forget(tmp_path)
    with DELEGATING[server](isp, "isp0", tmp_path, MOVED):
        async with dhcpv6(link, PREFIX, remembered=first.machine.memory) as second:
            await second.until(lambda: at_rest(second) and is_of(MOVED, second))
    assert told_the_lan(second) == [asset(first, PD)]
    assert [former.lease.asset for former in second.machine.former] == [asset(first, PD)]


@pytest.mark.req("V6-13", "breaks")
async def test_one_prefix_for_two(isp: Namespace, link: Wan, tmp_path: Path) -> None:
    """What there is is taken; the rest is asked for with the next Renew, and there it is."""
    async with dhcpv6(link, ADDRESS, PREFIX, PREFIX2) as client:
        with kea(isp, "isp0", tmp_path, attrs.evolve(TERMS, pool=IPv6Network("2001:db8:4000::/56"))):
            await client.until(lambda: at_rest(client))
            before = {key: binding.content for key, binding in client.machine.bindings.items()}
            assert len(before.keys() & {PD, PD2}) == 1
        with kea(isp, "isp0", tmp_path, TERMS):
            await client.sleep(TERMS.t1)
            await settled(client, NA, PD, PD2)
        assert {key: client.machine.bindings[key].content for key in before} == before
        assert client.heard(Lost) == []


@pytest.mark.req("V6-12")
@delegating
async def test_in_two_messages(server: str, isp: Namespace, link: Wan, tmp_path: Path) -> None:
    with DELEGATING[server](isp, "isp0", tmp_path, attrs.evolve(TERMS, rapid=True)):
        async with dhcpv6(link, PREFIX, rapid_commit=True) as client:
            await settled(client, PD)
            assert asked(client) == [MessageType.SOLICIT]
            assert [said.by for said in client.heard(Bound)] == ["solicit"]


@pytest.mark.req("V6-12", "breaks")
async def test_a_server_that_could_in_two_messages_and_a_client_that_does_not_ask_for_it(
    isp: Namespace, link: Wan, tmp_path: Path
) -> None:
    with kea(isp, "isp0", tmp_path, attrs.evolve(TERMS, rapid=True)):
        async with dhcpv6(link, PREFIX) as client:
            await settled(client, PD)
            assert asked(client)[-1] == MessageType.REQUEST


@pytest.mark.req("V6-25")
async def test_the_part_of_the_prefix_that_is_the_providers(isp: Namespace, link: Wan, tmp_path: Path) -> None:
    """RFC 6603."""
    pool, excluded = IPv6Network("2001:db8:4000::/56"), IPv6Network("2001:db8:4000:fe::/64")
    with kea(isp, "isp0", tmp_path, attrs.evolve(TERMS, pool=pool, excluded=excluded)):
        async with dhcpv6(link, PREFIX) as client:
            await settled(client, PD)
            (lease,) = client.machine.bindings[PD].leases
            assert (lease.asset, lease.excluded) == (pool, excluded)


@pytest.mark.req("V6-26")
@every_server
async def test_an_address_that_somebody_else_has(server: str, isp: Namespace, link: Wan, tmp_path: Path) -> None:
    """Declined, and another one is granted; the server does not grant the first one again."""
    with any_address(isp, "isp0", tmp_path, server, TERMS):
        async with dhcpv6(link, ADDRESS) as client:
            await settled(client, NA)
            taken = asset(client, NA)
            assert isinstance(taken, IPv6Address)
            await client.tell(Conflict(taken))
            await client.until(lambda: NA not in client.machine.bindings)
            assert [said.reason for said in client.heard(Lost)] == ["conflict"]
            await client.sleep(30)
            await settled(client, NA)
            assert asset(client, NA) != taken
            assert MessageType.DECLINE in asked(client)


@pytest.mark.req("V6-27")
@delegating
async def test_what_is_given_back_is_nobodys(server: str, isp: Namespace, link: Wan, tmp_path: Path) -> None:
    """And a client that merely ended has given back nothing: somebody else does not get its prefix."""
    only = attrs.evolve(TERMS, pool=IPv6Network("2001:db8:4000::/56"))
    other = Wanted(Association(Kind.PD, 77))
    with DELEGATING[server](isp, "isp0", tmp_path, only):
        async with dhcpv6(link, PREFIX) as first:
            await settled(first, PD)
        async with dhcpv6(link, other) as somebody:
            await somebody.until(lambda: len(asked(somebody)) >= 2)
            assert somebody.machine.bindings == {}
        async with dhcpv6(link, PREFIX, remembered=first.machine.memory) as again:
            await settled(again, PD)
            await again.tell(Release())
            await again.until(lambda: any(said.ok for said in again.heard(Finished)))
            assert asked(again)[-1] == MessageType.RELEASE
        async with dhcpv6(link, other) as somebody:
            await settled(somebody, other.association)
            assert asset(somebody, other.association) == only.pool


@pytest.mark.req("V6-29")
@every_server
async def test_information_alone(server: str, isp: Namespace, link: Wan, tmp_path: Path) -> None:
    running = (
        dnsmasq(isp, "isp0", tmp_path, TERMS, "stateless")
        if server == "dnsmasq"
        else any_address(isp, "isp0", tmp_path, server, TERMS)
    )
    with running:
        async with dhcpv6(link) as client:
            informed = (await client.until(lambda: client.heard(Informed)))[0]
            assert informed.information.dns_servers == (IPv6Address(TERMS.dns),)
            assert informed.information.search == (TERMS.search,)
            assert asked(client)[-1] == MessageType.INFORMATION_REQUEST
