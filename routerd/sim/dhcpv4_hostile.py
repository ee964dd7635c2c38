"""A DHCPv4 server that is not by the RFC: each mode takes what the honest one says and breaks one thing about it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv4Network

import attrs

from routerd.protocols.dhcpv4 import wire
from routerd.protocols.dhcpv4.message import ANY, BROADCAST, Message, MessageType, Op
from routerd.sim.dhcpv4_rules import CLIENT_ID, LEASE_TIME, SERVER_ID, TEXT
from routerd.sim.dhcpv4_server import RAPID_COMMIT, Reply, Server, addresses, routes
from routerd.sim.ethernet import BROADCAST_MAC

Mode = Callable[[Reply, random.Random], list[Reply]]
"""What is said in place of an honest reply."""

LIFETIMES = (0, 1, 2, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
STRANGER = IPv4Address("198.51.100.66")
STRANGER_MAC = bytes.fromhex("02bad0bad0ba")

_OPTIONS_AT = 243
"""Where options begin behind the cookie and option 53."""


class Hostile:
    """A server whose replies go through `mode`; None: it is honest (again)."""

    def __init__(self, server: Server, rng: random.Random, mode: Mode | None) -> None:
        self.server = server
        self.mode = mode
        self._rng = rng

    def receive(self, message: Message, source: IPv4Address, destination: IPv4Address, now: float) -> list[Reply]:
        """As `Server.receive`, and then the worst."""
        replies = self.server.receive(message, source, destination, now)
        if self.mode is None:
            return replies
        return [worse for reply in replies for worse in self.mode(reply, self._rng)]


# How to break a reply


def _changed(change: Callable[[Message], Message]) -> Mode:
    """The same reply with another message in it."""

    def mode(reply: Reply, rng: random.Random) -> list[Reply]:
        return [attrs.evolve(reply, message=change(reply.message))]

    return mode


def _option(code: int, value: bytes | None, *kinds: MessageType) -> Mode:
    """The same reply with another value of one option, or without it; only in messages of `kinds`, if given."""

    def change(message: Message) -> Message:
        if kinds and message.type not in kinds:
            return message
        options = {key: old for key, old in message.options.items() if key != code}
        return attrs.evolve(message, options=options if value is None else options | {code: value})

    return _changed(change)


def _address(bad: IPv4Address) -> Mode:
    return _changed(lambda message: attrs.evolve(message, yiaddr=bad))


def _both(first: Mode, second: Mode) -> Mode:
    return lambda reply, rng: [worse for bad in first(reply, rng) for worse in second(bad, rng)]


def _spliced(octets: bytes) -> Mode:
    """The same reply with `octets` between option 53 and the others, whatever they are."""

    def mode(reply: Reply, rng: random.Random) -> list[Reply]:
        honest = wire.encode(reply.message)
        return [attrs.evolve(reply, octets=honest[:_OPTIONS_AT] + octets + honest[_OPTIONS_AT:])]

    return mode


def _running_over(reply: Reply, rng: random.Random) -> list[Reply]:
    """All that is honest, and then an option that is longer than what is left of the message."""
    return [attrs.evolve(reply, octets=wire.encode(reply.message).rstrip(b"\0")[:-1] + b"\xfa\xff\x01")]


def _never(reply: Reply, rng: random.Random) -> list[Reply]:
    return []


def _wrong_xid(reply: Reply, rng: random.Random) -> list[Reply]:
    wrong = reply.message.xid ^ rng.randrange(1, 2**32)
    return [attrs.evolve(reply, message=attrs.evolve(reply.message, xid=wrong))]


def _nak(reply: Reply) -> Reply:
    """A NAK in place of the reply, with a text that no terminal should be shown."""
    kept = {code: value for code, value in reply.message.options.items() if code in (SERVER_ID, CLIENT_ID)}
    options = kept | {TEXT: b"no\x1b[31m such\0 luck\xff"}
    message = attrs.evolve(reply.message, type=MessageType.NAK, yiaddr=ANY, ciaddr=ANY, options=options)
    return attrs.evolve(reply, message=message, to=BROADCAST, mac=BROADCAST_MAC)


def _nak_for_ever(reply: Reply, rng: random.Random) -> list[Reply]:
    """Offers everything and grants nothing."""
    return [_nak(reply) if reply.message.type is MessageType.ACK else reply]


def _twice(reply: Reply, rng: random.Random) -> list[Reply]:
    return [reply, reply]


def _with_naks_of_a_stranger(reply: Reply, rng: random.Random) -> list[Reply]:
    """Before and after every answer a NAK of another server for the same transaction."""
    (stranger,) = _option(SERVER_ID, STRANGER.packed)(_nak(reply), rng)
    return [stranger, reply, stranger]


def _from_elsewhere(reply: Reply, rng: random.Random) -> list[Reply]:
    return [attrs.evolve(reply, source=STRANGER, source_port=rng.randrange(1, 65536))]


def _garbage(reply: Reply, rng: random.Random) -> list[Reply]:
    return [attrs.evolve(reply, octets=rng.randbytes(rng.randrange(1, 1400)))]


def _noise(reply: Reply, rng: random.Random) -> list[Reply]:
    """A reply of which up to ten octets behind the transaction are anything."""
    octets = bytearray(wire.encode(reply.message))
    for _ in range(rng.randrange(1, 11)):
        octets[rng.randrange(8, len(octets))] = rng.randrange(256)
    return [attrs.evolve(reply, octets=bytes(octets))]


def _cut(reply: Reply, rng: random.Random) -> list[Reply]:
    octets = wire.encode(reply.message)
    return [attrs.evolve(reply, octets=octets[: rng.randrange(1, len(octets))])]


def _moving(reply: Reply, rng: random.Random) -> list[Reply]:
    """Every ACK grants another address."""
    if reply.message.type is not MessageType.ACK:
        return [reply]
    address = reply.message.yiaddr + rng.randrange(1, 4)
    return [attrs.evolve(reply, message=attrs.evolve(reply.message, yiaddr=address))]


def _unasked(reply: Reply, rng: random.Random) -> list[Reply]:
    """With every answer a few that nobody asked for: other transactions, other kinds."""
    kinds = (MessageType.OFFER, MessageType.ACK, MessageType.NAK, MessageType.FORCERENEW)
    stale = [attrs.evolve(reply.message, type=kind, xid=rng.randrange(2**32)) for kind in kinds]
    return [reply, *(attrs.evolve(reply, message=message) for message in stale)]


def _forced(reply: Reply, rng: random.Random) -> list[Reply]:
    """With every answer an unauthenticated FORCERENEW for the same transaction (RFC 3203)."""
    return [reply, attrs.evolve(reply, message=attrs.evolve(reply.message, type=MessageType.FORCERENEW))]


def _hasty(reply: Reply, rng: random.Random) -> list[Reply]:
    """Grants at once what was only asked about, without rapid commit having been offered (RFC 4039)."""
    if reply.message.type is not MessageType.OFFER:
        return [reply]
    options = {**reply.message.options, RAPID_COMMIT: b""}
    return [attrs.evolve(reply, message=attrs.evolve(reply.message, type=MessageType.ACK, options=options))]


_SUBNET = IPv4Network("192.0.2.0/24")
_BAD_ADDRESSES = {
    "zero": ANY,
    "loopback": IPv4Address("127.0.0.1"),
    "multicast": IPv4Address("224.0.0.1"),
    "class-e": IPv4Address("240.0.0.1"),
    "limited-broadcast": BROADCAST,
    "network": _SUBNET.network_address,
    "directed-broadcast": _SUBNET.broadcast_address,
}
_GRANTS = (MessageType.ACK, MessageType.NAK)

MODES: Mapping[str, Mode] = {
    "never": _never,
    "wrong-xid": _wrong_xid,
    "wrong-chaddr": _changed(lambda message: attrs.evolve(message, chaddr=STRANGER_MAC)),
    "a-request": _changed(lambda message: attrs.evolve(message, op=Op.BOOTREQUEST)),
    "nak-for-ever": _nak_for_ever,
    "twice": _twice,
    "naks-of-a-stranger": _with_naks_of_a_stranger,
    "from-elsewhere": _from_elsewhere,
    "garbage": _garbage,
    "noise": _noise,
    "cut": _cut,
    "moving": _moving,
    "unasked": _unasked,
    "forced": _forced,
    "hasty": _hasty,
    "other-server-grants": _option(SERVER_ID, STRANGER.packed, *_GRANTS),
    "no-server-id": _option(SERVER_ID, None),
    "other-client-id": _option(CLIENT_ID, b"\x01" + STRANGER_MAC),
    "no-lease-time": _option(LEASE_TIME, None),
    "two-types": _spliced(b"\x35\x01\x06"),
    "two-servers": _spliced(b"\x36\x04" + STRANGER.packed),
    "two-lease-times": _spliced(b"\x33\x04\x00\x00\x00\x3c"),
    "no-type": _spliced(b"\xff"),
    "bad-overload": _spliced(b"\x34\x01\x07"),
    "overload-of-nothing": _spliced(b"\x34\x01\x03"),
    "overrun-first": _spliced(b"\xfa\xff"),
    "overrun-last": _running_over,
    "holes-in-the-mask": _option(1, b"\xff\x00\xff\x00"),
    "mask-of-a-pair": _option(1, b"\xff\xff\xff\xfe"),
    "mtu-0": _option(26, b"\x00\x00"),
    "mtu-65535": _option(26, b"\xff\xff"),
    "route-too-wide": _option(121, b"\x21\xc0\x00\x02\x01\x01\xc0\x00\x02\x01"),
    "route-cut": _option(121, b"\x18\xc0\x00"),
    "no-default-route": _option(121, b"\x08\x0a\xc0\x00\x02\x01"),
    "hundreds-of-routes": _option(121, routes(*((f"10.0.{number}.0/24", "192.0.2.1") for number in range(120)))),
    "hundreds-of-servers": _option(6, addresses(*(f"198.51.100.{number}" for number in range(1, 251)))),
    "search-loop": _option(119, b"\xc0\x00"),
    "name-with-control-octets": _option(15, b"a\x00b\x1b]0;c\x07\n`d`$(e)"),
    "text-without-end": _option(TEXT, b"\xff" * 255),
    "t1-after-t2": _both(_option(58, b"\0\0\0\3"), _option(59, b"\0\0\0\2")),
    **{f"server-{name}": _option(SERVER_ID, bad.packed) for name, bad in _BAD_ADDRESSES.items() if name != "network"},
    **{f"address-{name}": _address(bad) for name, bad in _BAD_ADDRESSES.items()},
    **{f"lease-{time}": _option(LEASE_TIME, time.to_bytes(4)) for time in LIFETIMES},
    **{f"t1-{time}": _option(58, time.to_bytes(4)) for time in LIFETIMES},
    **{f"t2-{time}": _option(59, time.to_bytes(4)) for time in LIFETIMES},
}
"""Every mode by its name. The addresses of some are of 192.0.2.0/24."""
