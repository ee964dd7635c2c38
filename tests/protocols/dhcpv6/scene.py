"""A DHCPv6 client on a timeline, and the few words of its servers."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address, IPv6Network
from typing import Any

from routerd.protocols.dhcpv6 import answer, association, auth, outputs, states, wire
from routerd.protocols.dhcpv6.answer import Answer
from routerd.protocols.dhcpv6.association import (
    SUCCESS,
    Asset,
    Association,
    Grant,
    IdentityAssociation,
    Kind,
    Status,
)
from routerd.protocols.dhcpv6.binding import Binding, Lease
from routerd.protocols.dhcpv6.client import Client
from routerd.protocols.dhcpv6.inputs import LinkUp, Received
from routerd.protocols.dhcpv6.memory import Memory
from routerd.protocols.dhcpv6.message import Message, MessageType, Option
from routerd.protocols.dhcpv6.options import OptionCode
from routerd.protocols.dhcpv6.settings import Settings, Wanted
from routerd.protocols.machine import Start
from tests.protocols.timeline import Timeline

MAC = bytes.fromhex("02005e000001")
OTHER_MAC = bytes.fromhex("02005e000002")
DUID = bytes.fromhex("00030001") + MAC
SERVER = bytes.fromhex("0003000102005e000101")
OTHER_SERVER = bytes.fromhex("0003000102005e000202")
LINK_LOCAL = IPv6Address("fe80::5eff:fe00:1")
ROUTER = IPv6Address("fe80::1")
LINK = LinkUp(2, MAC, LINK_LOCAL)
NA, PD, PD2 = Association(Kind.NA, 1), Association(Kind.PD, 1), Association(Kind.PD, 2)
ADDRESS, OTHER_ADDRESS = IPv6Address("2001:db8::10"), IPv6Address("2001:db8::11")
PREFIX, OTHER_PREFIX = IPv6Network("2001:db8:100::/56"), IPv6Network("2001:db8:200::/56")
PREFIX2 = IPv6Network("2001:db8:300::/56")
LENGTH = IPv6Network("::/56")
DNS = IPv6Address("2001:db8::53")
INFINITE = association.INFINITE
ASSETS: Mapping[Association, Asset] = {NA: ADDRESS, PD: PREFIX, PD2: PREFIX2}
KEY = b"a very secret key"[:16]
CONTENT = (Option(OptionCode.DNS_SERVERS, DNS.packed),)


def ia(
    which: Association,
    *grants: Grant,
    t1: int = 0,
    t2: int = 0,
    preferred: int = 3000,
    valid: int = 5000,
    status: int = 0,
) -> IdentityAssociation:
    """What a server says of one association: by default all is well. With a status, and no grants: it gives nothing."""
    default = () if status else (Grant(ASSETS[which], preferred, valid),)
    return IdentityAssociation(which, t1, t2, grants or default, Status(status) if status else SUCCESS)


def empty(which: Association, t1: int = 0, t2: int = 0) -> IdentityAssociation:
    return IdentityAssociation(which, t1, t2)


def status_option(code: int, text: bytes = b"") -> Option:
    return Option(OptionCode.STATUS, code.to_bytes(2, "big") + text)


def u32_option(code: int, number: int) -> Option:
    return Option(code, number.to_bytes(4, "big"))


class Scene(Timeline):
    """`wanted` is what the client asks for; further settings by their names. There is a server at fe80::1."""

    machine: Client

    def __init__(
        self,
        *wanted: Association,
        seed: int = 1,
        remembered: Memory | None = None,
        now: float = 1000.0,
        hints: Mapping[Association, Asset] | None = None,
        **settings: Any,
    ) -> None:
        hints = hints or {}
        settings["wanted"] = tuple(Wanted(which, hints.get(which)) for which in wanted)
        settings.setdefault("duid", DUID)
        super().__init__(Client(Settings(**settings), random.Random(seed), remembered), now)

    # What the client said

    @property
    def state(self) -> Any:
        return self.machine.state

    @property
    def sent(self) -> list[Message]:
        return [send.message for send in self.all(outputs.Send)]

    @property
    def asked(self) -> Answer:
        """The last message sent, as a server reads it."""
        return answer.read(self.sent[-1])

    def sent_at(self, *kinds: MessageType) -> list[float]:
        """When messages of these types left."""
        return self.times(outputs.Send, lambda send: send.message.type in kinds)

    def until_state(self, state: type[Any], within: float = 1e6) -> None:
        """Let time go by until the client is in a state."""
        if not isinstance(self.state, state):
            self.until(outputs.Entered, within, lambda entered: entered.state == state.__name__)

    def until_sent(self, kind: MessageType, within: float = 1e6) -> Message:
        """Let time go by until a message of this type leaves."""
        return self.until(outputs.Send, within, lambda send: send.message.type is kind).message

    # What others say

    def message(
        self,
        kind: MessageType,
        *ias: IdentityAssociation,
        server: bytes | None = SERVER,
        client: bytes | None = DUID,
        options: Iterable[Option] = CONTENT,
        xid: int | None = None,
        to: Message | None = None,
        **how: Any,
    ) -> Received:
        """A server's answer to the last message sent, or `to`, as it would come from the wire."""
        asked = to or (self.sent[-1] if self.sent else Message(MessageType.SOLICIT, 1))
        parts = [Option(1, client)] if client is not None else []
        parts += [Option(2, server)] if server is not None else []
        said = Message(kind, asked.xid if xid is None else xid, (*parts, *map(association.encode, ias), *options))
        decoded = wire.decode(wire.encode(said))
        assert isinstance(decoded, Message)
        return Received(decoded, how.pop("source", ROUTER), **how)

    def advertise(self, *ias: IdentityAssociation, preference: int | None = None, **how: Any) -> list[Any]:
        if preference is not None:
            how["options"] = (*how.get("options", ()), Option(OptionCode.PREFERENCE, bytes((preference,))))
        return self.feed(self.message(MessageType.ADVERTISE, *(ias or self._all()), **how))

    def reply(self, *ias: IdentityAssociation, **how: Any) -> list[Any]:
        """With nothing said of them, all associations are granted."""
        return self.feed(self.message(MessageType.REPLY, *(ias or self._all()), **how))

    def silent_reply(self, **how: Any) -> list[Any]:
        """A Reply without any association."""
        return self.feed(self.message(MessageType.REPLY, **how))

    def _all(self) -> list[IdentityAssociation]:
        return [ia(which) for which in self.machine._station.settings.associations]

    def reconfigure(
        self, order: int | None = 5, *, replay: int = 2, key: bytes = KEY, server: bytes = SERVER, **how: Any
    ) -> list[Any]:
        """An order, signed with `key`."""
        options = [Option(1, DUID), Option(2, server)]
        if order is not None:
            options.append(Option(19, bytes((order,))))
        options.append(Option(11, auth.option_value(replay, 2, bytes(16))))
        octets = auth.sign(wire.encode(Message(MessageType.RECONFIGURE, 0, tuple(options))), key)
        decoded = wire.decode(octets)
        assert isinstance(decoded, Message)
        return self.feed(Received(decoded, ROUTER, **how))

    # Where the client may be brought to

    def started(self, link: LinkUp = LINK) -> Scene:
        self.feed(Start())
        self.feed(link)
        return self

    def soliciting(self) -> Scene:
        self.started()
        self.until_sent(MessageType.SOLICIT, 1)
        return self

    def requesting(self, *ias: IdentityAssociation, **how: Any) -> Scene:
        self.soliciting()
        self.advertise(*ias, **how)
        self.until_sent(MessageType.REQUEST, 2)
        return self

    def bound(self, *ias: IdentityAssociation, **how: Any) -> Scene:
        """All that is wanted is held, or what `ias` grant of it."""
        self.requesting()
        self.reply(*ias, **how)
        assert isinstance(self.state, states.Bound), self.state
        return self

    def renewing(self, *ias: IdentityAssociation, **how: Any) -> Scene:
        self.bound(*ias, **how)
        self.until_sent(MessageType.RENEW)
        return self

    def rebinding(self, *ias: IdentityAssociation, **how: Any) -> Scene:
        self.bound(*ias, **how)
        self.until_sent(MessageType.REBIND)
        return self

    @property
    def held(self) -> dict[Association, list[Asset]]:
        """What is held now, by association."""
        return {which: [lease.asset for lease in b.leases] for which, b in self.machine.bindings.items()}


def binding(
    which: Association, *assets: Asset, now: float = 1000.0, age: float = 100.0, valid: float | None = 5000.0
) -> Binding:
    """Something held since `age` seconds ago."""
    begun = now - age
    ends = None if valid is None else begun + valid
    leases = tuple(Lease(asset, ends and begun + valid * 0.6, ends) for asset in assets or (ASSETS[which],))
    t1, t2 = (None, None) if valid is None else (begun + valid * 0.3, begun + valid * 0.48)
    return Binding(which, SERVER, begun, t1, t2, leases)


def memory(*bindings: Binding, **more: Any) -> Memory:
    """What an earlier life knew."""
    more.setdefault("last", {b.association: tuple(lease.asset for lease in b.leases) for b in bindings})
    return Memory(bindings, **more)
