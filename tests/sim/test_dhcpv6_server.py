"""The simulated DHCPv6 server itself: what it grants, what it refuses, and what it holds against a client."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network
from typing import Any

import attrs
import pytest

from routerd.protocols.dhcpv6 import answer, requests
from routerd.protocols.dhcpv6.answer import Answer
from routerd.protocols.dhcpv6.association import Grant, IdentityAssociation
from routerd.protocols.dhcpv6.message import Message, MessageType, Option
from routerd.protocols.dhcpv6.settings import Settings as ClientSettings
from routerd.protocols.dhcpv6.settings import Wanted
from routerd.sim.dhcpv6_server import Server
from tests.sim.network6 import NA, OTHER_DUID, PD, SERVICE

M = MessageType
CLIENT = ClientSettings(bytes.fromhex("0003000102005e000001"), (Wanted(NA), Wanted(PD)))
WISHES = (IdentityAssociation(NA), IdentityAssociation(PD))
FIRST = IPv6Network("2001:db8:100::/56")
ELSEWHERE = IPv6Network("2001:db8:f00::/56")


def said(kind: MessageType, *ias: IdentityAssociation, xid: int = 1, elapsed: int = 0, **how: Any) -> Message:
    return requests.message(kind, how.pop("client", CLIENT), xid, elapsed=elapsed, associations=ias, **how)


def asked(server: Server, message: Message, now: float = 0.0) -> Answer | None:
    replies = server.receive(message, now)
    return answer.read(replies[0].message) if replies else None


def to_us(kind: MessageType, *ias: IdentityAssociation, **how: Any) -> Message:
    return said(kind, *ias, server_id=SERVICE.duid, **how)


def bound() -> Server:
    server = Server(SERVICE)
    found = asked(server, said(M.SOLICIT, *WISHES))
    assert found is not None
    assert asked(
        server,
        to_us(
            M.REQUEST,
            *(requests.wish(ia.association, [g.asset for g in ia.grants]) for ia in found.associations),
            xid=2,
        ),
    )
    return server


def test_offered_and_granted() -> None:
    server = bound()
    assert server.violations == []
    held = server.leases.of((CLIENT.duid, PD), 0)
    assert held is not None
    assert (held.asset, held.until) == (FIRST, 7200)


def test_what_another_has_is_not_given() -> None:
    server = bound()
    other = attrs.evolve(CLIENT, duid=OTHER_DUID)
    found = asked(server, said(M.SOLICIT, requests.wish(PD, [FIRST]), client=other))
    assert found is not None
    assert found.associations[0].grants[0].asset != FIRST


def test_an_empty_pool() -> None:
    found = asked(Server(attrs.evolve(SERVICE, prefixes=None)), said(M.SOLICIT, *WISHES))
    assert found is not None
    assert [ia.status.code for ia in found.associations] == [0, 6]


@pytest.mark.parametrize("kind", [M.REQUEST, M.RENEW, M.RELEASE, M.DECLINE])
def test_what_is_for_another_server_is_not_answered(kind: MessageType) -> None:
    assert bound().receive(said(kind, requests.wish(PD, [FIRST]), server_id=OTHER_DUID), 1) == []


@pytest.mark.parametrize(("kind", "code"), [(M.RENEW, 3), (M.REBIND, None)])
def test_nobody_knows_the_binding(kind: MessageType, code: int | None) -> None:
    server = Server(attrs.evolve(SERVICE, creates=False))
    server_id = SERVICE.duid if kind is M.RENEW else None
    found = asked(server, said(kind, requests.wish(PD, [FIRST]), server_id=server_id))
    assert (found and found.associations[0].status.code) == code


@pytest.mark.parametrize("kind", [M.RENEW, M.REBIND])
def test_a_prefix_of_another_pool_ends(kind: MessageType) -> None:
    server = bound()
    server_id = SERVICE.duid if kind is M.RENEW else None
    found = asked(server, said(kind, requests.wish(PD, [ELSEWHERE]), server_id=server_id), 10)
    assert found is not None
    assert found.associations[0].grants == (Grant(ELSEWHERE), Grant(FIRST, 3600, 7200))


@pytest.mark.parametrize(("address", "code"), [("2001:db8:0:1::99", 0), ("2001:db8:0:2::99", 4)])
def test_confirm(address: str, code: int) -> None:
    found = asked(Server(SERVICE), said(M.CONFIRM, requests.wish(NA, [IPv6Address(address)])))
    assert found is not None
    assert found.status.code == code


def test_what_is_declined_is_nobodys() -> None:
    server = bound()
    held = server.leases.of((CLIENT.duid, NA), 0)
    assert held is not None
    asked(server, to_us(M.DECLINE, requests.wish(NA, [held.asset])))
    found = asked(server, said(M.SOLICIT, requests.wish(NA, [held.asset])))
    assert found is not None
    assert found.associations[0].grants[0].asset != held.asset


def test_options_are_told_to_who_asks() -> None:
    server = Server(attrs.evolve(SERVICE, options=(*SERVICE.options, Option(99, b"?"))))
    (reply,) = server.receive(said(M.INFORMATION_REQUEST), 0)
    assert (reply.message.first(23), reply.message.first(99)) == (SERVICE.options[0].value, None)


def test_silence() -> None:
    server = Server(attrs.evolve(SERVICE, silent=True))
    assert server.receive(said(M.SOLICIT, *WISHES), 0) == []
    assert not server.heard


def without(message: Message, code: int) -> Message:
    return attrs.evolve(message, options=tuple(o for o in message.options if o.code != code))


def more(message: Message, *options: Option) -> Message:
    return attrs.evolve(message, options=(*message.options, *options))


SOLICIT = said(M.SOLICIT, *WISHES)


@pytest.mark.parametrize(
    ("message", "rule"),
    [
        (without(SOLICIT, 1), "no client identifier"),
        (without(SOLICIT, 8), "no elapsed time"),
        (without(SOLICIT, 6), "without an option request"),
        (said(M.SOLICIT), "about nothing"),
        (said(M.SOLICIT, *WISHES, server_id=SERVICE.duid), "with a server identifier"),
        (said(M.RENEW, *WISHES), "without a server identifier"),
        (more(SOLICIT, Option(8, b"\0\0")), "option 8 twice"),
        (more(SOLICIT, Option(7, b"\1")), "option 7 from a client"),
        (more(without(SOLICIT, 6), Option(6, b"\0\x17")), "SOL_MAX_RT"),
        (more(without(SOLICIT, 6), Option(6, b"\0\x52\0\x52")), "repeats itself"),
        (more(said(M.REBIND, *WISHES), Option(14, b"")), "rapid commit"),
        (more(said(M.CONFIRM, requests.wish(NA, [IPv6Address("::1")])), Option(20, b"")), "Reconfigure Accept"),
        (said(M.CONFIRM, requests.wish(PD, [FIRST])), "a prefix in Confirm"),
        (said(M.CONFIRM, *WISHES), "an empty association"),
        (said(M.INFORMATION_REQUEST, *WISHES), "an association in Information-request"),
        (said(M.SOLICIT, *WISHES, *WISHES), "two associations of one number"),
        (said(M.SOLICIT, IdentityAssociation(NA, 1, 2)), "T1 and T2"),
        (Message(M.REPLY, 1), "a client sent REPLY"),
    ],
)
def test_what_a_client_must_not(message: Message, rule: str) -> None:
    server = Server(SERVICE)
    server.receive(message, 0)
    assert [found.rule for found in server.violations if rule in found.rule]


def test_what_a_client_must_not_do_over_time() -> None:
    server = Server(SERVICE)
    server.receive(said(M.SOLICIT, *WISHES, xid=9), 0)
    server.receive(said(M.SOLICIT, *WISHES, xid=9), 60)
    assert ["elapsed" in found.rule for found in server.violations] == [True]
    server.receive(to_us(M.REQUEST, requests.wish(PD, [ELSEWHERE]), xid=10), 61)
    assert "not offered" in server.violations[-1].rule
