"""A DHCPv4 server by the RFC (2131 §4.3), for simulations: it serves strictly and judges its clients.

Pure: messages and times in, replies out. Its settings may be replaced while it runs; what clients did wrong is
in `violations`. It sends no pings and expects relays nowhere.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network

import attrs

from routerd.protocols.dhcpv4.message import ANY, BROADCAST, SERVER_PORT, Message, MessageType, Op
from routerd.sim.dhcpv4_leases import Binding, Leases
from routerd.sim.dhcpv4_rules import (
    CLIENT_ID,
    LEASE_TIME,
    PARAMETERS,
    REQUESTED_ADDRESS,
    SERVER_ID,
    TEXT,
    Violation,
    broken_rules,
    request_state,
)
from routerd.sim.ethernet import BROADCAST_MAC

RAPID_COMMIT = 80
INFINITE = 0xFFFFFFFF
OFFER_TIME = 120.0
"""Seconds for which an offered address is kept for its client."""
DECLINE_TIME = 3600.0
"""Seconds for which a declined address is not given to anybody."""


def addresses(*values: IPv4Address | str) -> bytes:
    """The value of an option that is a list of addresses."""
    return b"".join(IPv4Address(value).packed for value in values)


def names(*values: str) -> bytes:
    """Domain names as RFC 1035 §3.1 writes them, without compression (option 119, RFC 3397)."""
    return b"".join(
        b"".join(bytes([len(label)]) + label.encode() for label in value.split(".")) + b"\0" for value in values
    )


def routes(*values: tuple[IPv4Network | str, IPv4Address | str]) -> bytes:
    """Classless static routes (option 121, RFC 3442): destination and router."""
    value = b""
    for destination, router in values:
        network = IPv4Network(destination)
        significant = network.network_address.packed[: (network.prefixlen + 7) // 8]
        value += bytes([network.prefixlen]) + significant + IPv4Address(router).packed
    return value


@attrs.frozen
class Settings:
    """What the server does and tells. Times in seconds; `t1`, `t2` None: not told.

    `first` … `last` is the pool. `options` are told to clients that ask for them by option 55 (to all when a
    client sends none, RFC 2131 §4.3.1); use `addresses`, `names`, `routes` to write them. `authoritative`: say NAK
    to a client that is wrong although we do not know it. `silent`: hear nothing, say nothing.
    """

    server_id: IPv4Address
    subnet: IPv4Network
    first: IPv4Address
    last: IPv4Address
    lease_time: int = 3600
    t1: int | None = None
    t2: int | None = None
    options: Mapping[int, bytes] = attrs.field(factory=dict)
    authoritative: bool = True
    rapid_commit: bool = False
    silent: bool = False

    def pool(self) -> Iterator[IPv4Address]:
        """The addresses that may be given, in order."""
        return (IPv4Address(number) for number in range(int(self.first), int(self.last) + 1))

    def serves(self, address: IPv4Address) -> bool:
        """Whether the address is one that clients may have."""
        return self.first <= address <= self.last and address != self.server_id


@attrs.frozen
class Reply:
    """An answer, and where it goes: IP destination and Ethernet destination (RFC 2131 §4.1). `octets`, if there are
    any, are sent in place of the message: for those who do not say what a message can hold."""

    message: Message
    to: IPv4Address
    mac: bytes
    source: IPv4Address
    source_port: int = SERVER_PORT
    octets: bytes = b""


class Server:
    """One server. `leases` may be shared by servers that are one service (a failover pair)."""

    def __init__(self, settings: Settings, leases: Leases | None = None) -> None:
        self.settings = settings
        self.leases = Leases() if leases is None else leases
        self.violations: list[Violation] = []
        self.heard: Counter[MessageType] = Counter()
        self.said: Counter[MessageType] = Counter()
        self._identities: dict[bytes, bytes | None] = {}
        self._open_offers: dict[bytes, Binding] = {}
        self._offers_made: dict[bytes, dict[int, set[IPv4Address]]] = {}

    def receive(self, message: Message, source: IPv4Address, destination: IPv4Address, now: float) -> list[Reply]:
        """Take one message of a client; `source` and `destination` of its IP header."""
        if self.settings.silent:
            return []
        self.heard[message.type] += 1
        self._judge(message, source, destination, now)
        replies = list(self._answer(message, destination, now))
        self.said.update(reply.message.type for reply in replies)
        return replies

    def _answer(self, message: Message, destination: IPv4Address, now: float) -> Iterator[Reply]:
        match message.type:
            case MessageType.DISCOVER:
                yield from self._discover(message, now)
            case MessageType.REQUEST:
                yield from self._request(message, destination, now)
            case MessageType.DECLINE:
                self._decline(message, now)
            case MessageType.RELEASE:
                self._release(message)
            case MessageType.INFORM if message.ciaddr != ANY:
                yield self._reply(message, MessageType.ACK, ANY, lease=False)

    # Judging

    def _judge(self, message: Message, source: IPv4Address, destination: IPv4Address, now: float) -> None:
        rules = [*broken_rules(message, source, destination), *self._broken_over_time(message, now)]
        self.violations += [Violation(now, message.chaddr, message.type, rule) for rule in rules]

    def _broken_over_time(self, message: Message, now: float) -> Iterator[str]:
        identity = message.options.get(CLIENT_ID)
        if self._identities.setdefault(message.chaddr, identity) != identity:
            yield "the client identifier changed (RFC 2131 §2, §4.2)"
        offers = self._offers_made.get(_client(message))
        if offers and message.type is MessageType.REQUEST and self._chosen(message):
            if message.xid not in offers:
                yield "REQUEST does not have the xid of an OFFER (table 5)"
            elif _requested(message) not in offers[message.xid]:
                yield "REQUEST asks for another address than was offered (§4.3.2)"

    # What clients say (RFC 2131 §4.3.1 to §4.3.5)

    def _discover(self, message: Message, now: float) -> Iterator[Reply]:
        address = self._pick(message, now)
        if address is None:
            return
        if self.settings.rapid_commit and RAPID_COMMIT in message.options:
            yield self._commit(message, address, now, rapid=True)
            return
        client = _client(message)
        self._open_offers[client] = Binding(address, now + OFFER_TIME)
        self._offers_made.setdefault(client, {}).setdefault(message.xid, set()).add(address)
        yield self._reply(message, MessageType.OFFER, address)

    def _request(self, message: Message, destination: IPv4Address, now: float) -> Iterator[Reply]:
        match request_state(message, destination):
            case "SELECTING":
                yield from self._selecting(message, now)
            case "INIT-REBOOT":
                yield from self._init_reboot(message, now)
            case "RENEWING" | "REBINDING" as state:
                yield from self._extend(message, now, asked_us=state == "RENEWING")

    def _selecting(self, message: Message, now: float) -> Iterator[Reply]:
        """An offer that was declined in favour of another server's may still be taken up while it can be satisfied."""
        client, address = _client(message), _requested(message)
        if not self._chosen(message):
            self._open_offers.pop(client, None)
        elif address is not None and self._promised(address, client) and self._free(address, client, now):
            yield self._commit(message, address, now)
        else:
            yield self._nak(message, "that address was not offered to you")

    def _init_reboot(self, message: Message, now: float) -> Iterator[Reply]:
        client, address = _client(message), _requested(message)
        lease = self.leases.of(client)
        if address is None:
            return
        if address not in self.settings.subnet:
            if self.settings.authoritative:
                yield self._nak(message, "wrong network")
        elif lease is not None:
            if lease.address == address and self._free(address, client, now):
                yield self._commit(message, address, now)
            else:
                yield self._nak(message, "that address is not yours")

    def _extend(self, message: Message, now: float, *, asked_us: bool) -> Iterator[Reply]:
        client, address = _client(message), message.ciaddr
        lease = self.leases.of(client)
        mine = lease is not None and lease.address == address
        if mine and self._free(address, client, now):
            yield self._commit(message, address, now)
        elif mine or (self.settings.authoritative and (asked_us or address in self.settings.subnet)):
            yield self._nak(message, "that address is not yours any more")

    def _decline(self, message: Message, now: float) -> None:
        if self._chosen(message) and (address := _requested(message)) is not None:
            self.leases.decline(_client(message), address, now + DECLINE_TIME)
            self._open_offers.pop(_client(message), None)

    def _release(self, message: Message) -> None:
        lease = self.leases.of(_client(message))
        if lease is not None and lease.address == message.ciaddr and self._chosen(message):
            self.leases.release(_client(message))

    # Addresses

    def _chosen(self, message: Message) -> bool:
        """Whether option 54 names us."""
        return message.options.get(SERVER_ID) == self.settings.server_id.packed

    def _known(self, client: bytes) -> list[IPv4Address]:
        """The addresses that the client has, had, or was offered."""
        return [known.address for known in (self.leases.of(client), self._open_offers.get(client)) if known is not None]

    def _promised(self, address: IPv4Address, client: bytes) -> bool:
        """Whether the client was offered the address, or has it."""
        offered = self._offers_made.get(client, {}).values()
        return address in self._known(client) or any(address in made for made in offered)

    def _free(self, address: IPv4Address, client: bytes, now: float) -> bool:
        """Whether this client may have the address."""
        offers = (offer for other, offer in self._open_offers.items() if other != client and offer.address == address)
        return (
            self.settings.serves(address)
            and self.leases.available(address, client, now)
            and not any(offer.active(now) for offer in offers)
        )

    def _pick(self, message: Message, now: float) -> IPv4Address | None:
        """RFC 2131 §4.3.1: the present or last address, else the wanted one, else a new one, else the stalest."""
        client, wanted = _client(message), _requested(message)
        wishes = [*self._known(client), *([wanted] if wanted is not None else [])]
        candidates = itertools.chain(wishes, self.leases.unused_first(self.settings.pool(), now))
        return next((address for address in candidates if self._free(address, client, now)), None)

    def _commit(self, message: Message, address: IPv4Address, now: float, *, rapid: bool = False) -> Reply:
        endless = self.settings.lease_time == INFINITE
        self.leases.grant(_client(message), address, math.inf if endless else now + self.settings.lease_time)
        self._open_offers.pop(_client(message), None)
        return self._reply(message, MessageType.ACK, address, rapid=rapid)

    # Replies (RFC 2131 table 3)

    def _reply(
        self, request: Message, kind: MessageType, address: IPv4Address, *, lease: bool = True, rapid: bool = False
    ) -> Reply:
        options = {SERVER_ID: self.settings.server_id.packed}
        if lease:
            options[LEASE_TIME] = self.settings.lease_time.to_bytes(4)
        if rapid:
            options[RAPID_COMMIT] = b""
        wanted = request.options.get(PARAMETERS)
        told = self._told(lease=lease)
        options |= {code: told[code] for code in (told if wanted is None else wanted) if code in told}
        return self._addressed(request, kind, options, yiaddr=address)

    def _told(self, *, lease: bool) -> dict[int, bytes]:
        told = dict(self.settings.options)
        told.setdefault(1, self.settings.subnet.netmask.packed)
        for code, time in ((58, self.settings.t1), (59, self.settings.t2)):
            if lease and time is not None:
                told[code] = time.to_bytes(4)
        return told

    def _nak(self, request: Message, text: str) -> Reply:
        options = {SERVER_ID: self.settings.server_id.packed, TEXT: text.encode()}
        return self._addressed(request, MessageType.NAK, options)

    def _addressed(
        self, request: Message, kind: MessageType, options: dict[int, bytes], yiaddr: IPv4Address = ANY
    ) -> Reply:
        """RFC 2131 §4.1: a NAK is broadcast; else to ciaddr, else broadcast if asked to, else to chaddr and yiaddr."""
        if CLIENT_ID in request.options:  # RFC 6842
            options[CLIENT_ID] = request.options[CLIENT_ID]
        ciaddr = request.ciaddr if kind is MessageType.ACK else ANY
        message = Message(
            Op.BOOTREPLY,
            kind,
            request.xid,
            request.chaddr,
            broadcast=request.broadcast,
            ciaddr=ciaddr,
            yiaddr=yiaddr,
            options=options,
        )
        if kind is not MessageType.NAK and request.ciaddr != ANY:
            to, mac = request.ciaddr, request.chaddr
        elif kind is MessageType.NAK or request.broadcast:
            to, mac = BROADCAST, BROADCAST_MAC
        else:
            to, mac = yiaddr, request.chaddr
        return Reply(message, to, mac, source=self.settings.server_id)


def _client(message: Message) -> bytes:
    """The key of a client's binding (RFC 2131 §4.2)."""
    return message.options.get(CLIENT_ID) or b"\x01" + message.chaddr


def _requested(message: Message) -> IPv4Address | None:
    value = message.options.get(REQUESTED_ADDRESS, b"")
    return IPv4Address(value) if len(value) == 4 else None
