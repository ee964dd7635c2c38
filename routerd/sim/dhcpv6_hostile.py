"""A DHCPv6 server that is not by the RFC: each mode takes what the honest one says and breaks one thing about it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, IPv6Network

import attrs

from routerd.protocols.dhcpv6 import association, wire
from routerd.protocols.dhcpv6.association import Grant, IdentityAssociation, Kind, Status
from routerd.protocols.dhcpv6.message import Message, MessageType, Option
from routerd.protocols.malformed import Malformed
from routerd.sim.dhcpv6_rules import CLIENT_ID, IA_NA, IA_PD, SERVER_ID
from routerd.sim.dhcpv6_server import Reply, Server

Mode = Callable[[Reply, random.Random], list[Reply]]
"""What is said in place of an honest reply."""

LIFETIMES = (0, 1, 2, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
STATUSES = (1, 2, 3, 4, 5, 6, 999)
STRANGER = bytes.fromhex("0003000102bad0bad0ba")


class Hostile:
    """A server whose replies go through `mode`; None: it is honest (again)."""

    def __init__(self, server: Server, rng: random.Random, mode: Mode | None) -> None:
        self.server = server
        self.mode = mode
        self._rng = rng

    def receive(self, message: Message, now: float) -> list[Reply]:
        """As `Server.receive`, and then the worst."""
        replies = self.server.receive(message, now)
        if self.mode is None:
            return replies
        return [worse for reply in replies for worse in self.mode(reply, self._rng)]


# How to break a reply


def _changed(change: Callable[[Message], Message]) -> Mode:
    """The same reply with another message in it."""
    return lambda reply, rng: [attrs.evolve(reply, message=change(reply.message))]


def _option(code: int, value: bytes | None, *kinds: MessageType) -> Mode:
    """The same reply with another value of one option, or without it; only in messages of `kinds`, if given."""

    def change(message: Message) -> Message:
        if kinds and message.type not in kinds:
            return message
        options = tuple(option for option in message.options if option.code != code)
        return attrs.evolve(message, options=options if value is None else (*options, Option(code, value)))

    return _changed(change)


def _added(*more: Option) -> Mode:
    return _changed(lambda message: attrs.evolve(message, options=(*message.options, *more)))


def _associations(change: Callable[[IdentityAssociation], IdentityAssociation], *kinds: MessageType) -> Mode:
    """The same reply with every association changed; only in messages of `kinds`, if given."""

    def one(option: Option) -> Option:
        ia = association.decode(option) if option.code in (IA_NA, IA_PD) else Malformed("another")
        return option if isinstance(ia, Malformed) else association.encode(change(ia))

    def whole(message: Message) -> Message:
        if kinds and message.type not in kinds:
            return message
        return attrs.evolve(message, options=tuple(map(one, message.options)))

    return _changed(whole)


def _grants(change: Callable[[Grant], Grant], *kinds: MessageType) -> Mode:
    return _associations(lambda ia: attrs.evolve(ia, grants=tuple(map(change, ia.grants))), *kinds)


def _nothing_left(ia: IdentityAssociation) -> IdentityAssociation:
    return IdentityAssociation(ia.association, status=Status(6 if ia.association.kind is Kind.PD else 2))


def _moved(grant: Grant) -> Grant:
    match grant.asset:
        case IPv6Network() as prefix:
            return attrs.evolve(grant, asset=IPv6Network((int(prefix.network_address) ^ 1 << 90, prefix.prefixlen)))
        case IPv6Address() as address:
            return attrs.evolve(grant, asset=IPv6Address(int(address) ^ 1))


def _of_length(length: int) -> Mode:
    def change(grant: Grant) -> Grant:
        if isinstance(grant.asset, IPv6Address):
            return grant
        return attrs.evolve(grant, asset=IPv6Network((grant.asset.network_address, length), strict=False))

    return _grants(change)


def _at(prefix: str, address: str) -> Mode:
    """Every lease is one that nobody can have."""
    bad: dict[bool, IPv6Network | IPv6Address] = {True: IPv6Network(prefix), False: IPv6Address(address)}
    return _grants(lambda grant: attrs.evolve(grant, asset=bad[isinstance(grant.asset, IPv6Network)]))


def _another_each_time(reply: Reply, rng: random.Random) -> list[Reply]:
    def change(grant: Grant) -> Grant:
        if isinstance(grant.asset, IPv6Address):
            return grant
        return attrs.evolve(grant, asset=IPv6Network((0x20010DB8 << 96 | rng.getrandbits(16) << 72, 56)))

    return _grants(change, MessageType.REPLY)(reply, rng)


def _wrong_xid(reply: Reply, rng: random.Random) -> list[Reply]:
    wrong = reply.message.xid ^ rng.randrange(1, 2**24)
    return [attrs.evolve(reply, message=attrs.evolve(reply.message, xid=wrong))]


def _never(reply: Reply, rng: random.Random) -> list[Reply]:
    return []


def _twice(reply: Reply, rng: random.Random) -> list[Reply]:
    return [reply, reply]


def _from_elsewhere(reply: Reply, rng: random.Random) -> list[Reply]:
    return [attrs.evolve(reply, source=IPv6Address("2001:db8:bad::1"), source_port=rng.randrange(1, 65536))]


def _to_all(reply: Reply, rng: random.Random) -> list[Reply]:
    return [attrs.evolve(reply, multicast=True)]


def _garbage(reply: Reply, rng: random.Random) -> list[Reply]:
    return [attrs.evolve(reply, octets=rng.randbytes(rng.randrange(1, 1400)))]


def _noise(reply: Reply, rng: random.Random) -> list[Reply]:
    """A reply of which up to ten octets behind the transaction are anything."""
    octets = bytearray(wire.encode(reply.message))
    for _ in range(rng.randrange(1, 11)):
        octets[rng.randrange(4, len(octets))] = rng.randrange(256)
    return [attrs.evolve(reply, octets=bytes(octets))]


def _cut(reply: Reply, rng: random.Random) -> list[Reply]:
    octets = wire.encode(reply.message)
    return [attrs.evolve(reply, octets=octets[: rng.randrange(1, len(octets))])]


def _unasked(reply: Reply, rng: random.Random) -> list[Reply]:
    """With every answer a few that nobody asked for: other transactions, other kinds."""
    kinds = (MessageType.ADVERTISE, MessageType.REPLY, MessageType.RECONFIGURE, MessageType.SOLICIT)
    stale = [attrs.evolve(reply.message, type=kind, xid=rng.randrange(2**24)) for kind in kinds]
    return [reply, *(attrs.evolve(reply, message=message) for message in stale)]


def _hasty(reply: Reply, rng: random.Random) -> list[Reply]:
    """Grants at once what was only asked about, without rapid commit having been offered."""
    if reply.message.type is not MessageType.ADVERTISE:
        return [reply]
    options = (*reply.message.options, Option(14, b""))
    return [attrs.evolve(reply, message=attrs.evolve(reply.message, type=MessageType.REPLY, options=options))]


def _empty_handed(ia: IdentityAssociation) -> IdentityAssociation:
    return attrs.evolve(ia, grants=())


def _refusing(code: int) -> Mode:
    return _associations(lambda ia: attrs.evolve(ia, status=Status(code)), MessageType.REPLY)


def _valid_for(seconds: int) -> Mode:
    return _grants(lambda grant: attrs.evolve(grant, preferred=min(seconds, 100), valid=seconds))


def _t1(seconds: int) -> Mode:
    return _associations(lambda ia: attrs.evolve(ia, t1=seconds))


def _t2(seconds: int) -> Mode:
    return _associations(lambda ia: attrs.evolve(ia, t2=seconds))


_REPLY = MessageType.REPLY

MODES: Mapping[str, Mode] = {
    "never": _never,
    "wrong-xid": _wrong_xid,
    "twice": _twice,
    "from-elsewhere": _from_elsewhere,
    "to-all": _to_all,
    "garbage": _garbage,
    "noise": _noise,
    "cut": _cut,
    "unasked": _unasked,
    "hasty": _hasty,
    "no-server-id": _option(SERVER_ID, None),
    "no-client-id": _option(CLIENT_ID, None),
    "other-client": _option(CLIENT_ID, STRANGER),
    "other-server-grants": _option(SERVER_ID, STRANGER, _REPLY),
    "empty-duids": _option(SERVER_ID, b""),
    "two-servers": _added(Option(SERVER_ID, STRANGER)),
    "two-clients": _added(Option(CLIENT_ID, STRANGER)),
    "another-prefix-each-time": _another_each_time,
    "moved-in-the-reply": _grants(_moved, _REPLY),
    "shorter-prefix": _of_length(40),
    "longer-prefix": _of_length(64),
    "prefix-of-128": _of_length(128),
    "nothing-left-in-the-reply": _associations(_nothing_left, _REPLY),
    "nothing-left-ever": _associations(_nothing_left),
    "empty-handed": _associations(_empty_handed, _REPLY),
    "lifetimes-0": _grants(lambda grant: attrs.evolve(grant, preferred=0, valid=0), _REPLY),
    "preferred-above-valid": _grants(lambda grant: attrs.evolve(grant, preferred=grant.valid + 1)),
    "t1-after-t2": _associations(lambda ia: attrs.evolve(ia, t1=200, t2=100)),
    "t1-beyond-the-end": _associations(lambda ia: attrs.evolve(ia, t1=2**31, t2=2**31 + 1)),
    "not-ours": _associations(lambda ia: attrs.evolve(ia, association=attrs.evolve(ia.association, iaid=0xBAD))),
    "multicast-leases": _at("ff00::/56", "ff02::1"),
    "link-local-leases": _at("fe80::/64", "fe80::bad"),
    "nowhere-leases": _at("::/56", "::"),
    "loopback-leases": _at("::1/128", "::1"),
    **{f"status-{code}": _added(Option(13, code.to_bytes(2, "big") + b"no\x1b[31m")) for code in STATUSES},
    **{f"ia-status-{code}": _refusing(code) for code in STATUSES},
    **{f"valid-{seconds}": _valid_for(seconds) for seconds in LIFETIMES},
    **{f"t1-{seconds}": _t1(seconds) for seconds in LIFETIMES},
    **{f"t2-{seconds}": _t2(seconds) for seconds in LIFETIMES},
    "sol-max-rt-0": _added(Option(82, bytes(4))),
    "dns-torn": _added(Option(23, bytes(15))),
    "names-without-end": _added(Option(24, b"\xc0\0" * 400)),
    "hundreds-of-servers": _added(Option(23, b"".join(IPv6Address(f"2001:db8::{n}").packed for n in range(1, 500)))),
}
"""Every mode by its name."""
