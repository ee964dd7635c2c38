"""A DHCPv6 server by the RFC (9915 §18.3), for simulations: it serves strictly and judges its clients.

Pure: messages and times in, replies out. Its settings may be replaced while it runs; what clients did wrong is
in `violations`. It expects relays nowhere.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network

import attrs

from routerd.protocols.dhcpv6 import association, auth, wire
from routerd.protocols.dhcpv6.association import (
    INFINITE,
    SUCCESS,
    Asset,
    Association,
    Grant,
    IdentityAssociation,
    Kind,
    Status,
)
from routerd.protocols.dhcpv6.message import SERVER_PORT, Message, MessageType, Option
from routerd.protocols.dhcpv6.options import StatusCode
from routerd.sim.dhcpv6_leases import Leases
from routerd.sim.dhcpv6_rules import (
    CLIENT_ID,
    ELAPSED,
    RAPID_COMMIT,
    RECONFIGURE_ACCEPT,
    RECONFIGURE_MESSAGE,
    REQUEST,
    SERVER_ID,
    Violation,
    associations,
    broken_rules,
)

ADDRESSES = IPv6Network("2001:db8:0:1::/64")
PREFIXES = IPv6Network("2001:db8:100::/40")
LINK_LOCAL = IPv6Address("fe80::1")

_NONE_LEFT = {Kind.NA: Status(StatusCode.NO_ADDRS_AVAIL), Kind.PD: Status(StatusCode.NO_PREFIX_AVAIL)}
_UNTOLD = (7, 11, 14)


@attrs.frozen
class Settings:
    """What the server does and tells. Times in seconds; `t1`, `t2` 0: as the client likes.

    `addresses` is the pool of IA_NA (its first sixteen are not given), `prefixes` that of IA_PD, given in pieces of
    `length`; None: there are none of that kind. What lies outside of the pools is not appropriate for the link.
    `options` are told to who asks for them. `creates`: what is missing in a Renew or Rebind is given (RFC 9915
    §18.3.4), else NoBinding. `restless`: another prefix every time. `key`: 16 octets for Reconfigure.
    """

    duid: bytes
    addresses: IPv6Network | None = ADDRESSES
    prefixes: IPv6Network | None = PREFIXES
    length: int = 56
    excluded: int | None = None
    t1: int = 0
    t2: int = 0
    preferred: int = 3600
    valid: int = 7200
    options: tuple[Option, ...] = ()
    preference: int | None = None
    rapid_commit: bool = False
    creates: bool = True
    restless: bool = False
    key: bytes | None = None
    silent: bool = False

    def pool(self, kind: Kind) -> Iterator[Asset]:
        """What may be given, in order."""
        if kind is Kind.NA and self.addresses is not None:
            first = self.addresses.network_address
            yield from (first + number for number in range(16, 4096))
        elif kind is Kind.PD and self.prefixes is not None:
            yield from self.prefixes.subnets(new_prefix=self.length)

    def serves(self, asset: Asset) -> bool:
        """Whether clients may have it."""
        match asset:
            case IPv6Address():
                return self.addresses is not None and asset in self.addresses
            case IPv6Network():
                fits = asset.prefixlen == self.length
                return fits and self.prefixes is not None and asset.subnet_of(self.prefixes)


@attrs.frozen
class Reply:
    """An answer. `octets`, if there are any, are sent in place of the message: for those who do not say what a
    message can hold. `multicast`: to everybody, which no server by the RFC does."""

    message: Message
    source: IPv6Address = LINK_LOCAL
    source_port: int = SERVER_PORT
    octets: bytes = b""
    multicast: bool = False


class Server:
    """One server. `leases` may be shared by servers that are one service."""

    def __init__(self, settings: Settings, leases: Leases | None = None) -> None:
        self.settings = settings
        self.leases = Leases() if leases is None else leases
        self.violations: list[Violation] = []
        self.heard: Counter[MessageType] = Counter()
        self._offered: dict[tuple[bytes, Association], set[Asset]] = {}
        self._begun: dict[tuple[bytes, int], float] = {}
        self._given = itertools.count()
        self._replay = itertools.count(1)

    def receive(self, message: Message, now: float) -> list[Reply]:
        """Take one message of a client."""
        if self.settings.silent:
            return []
        self.heard[message.type] += 1
        client = message.first(CLIENT_ID) or b""
        rules = [*broken_rules(message), *self._broken_over_time(client, message, now)]
        self.violations += [Violation(now, client, message.type, rule) for rule in rules]
        server_id = message.first(SERVER_ID)
        if server_id is not None and server_id != self.settings.duid:
            return []
        answer = self._answer(client, message, now)
        return [] if answer is None else [Reply(answer)]

    def reconfigure(self, client: bytes, order: MessageType) -> bytes:
        """The octets of a Reconfigure to a client that has our key (§20.4)."""
        assert self.settings.key is not None
        options = (
            Option(CLIENT_ID, client),
            Option(SERVER_ID, self.settings.duid),
            Option(RECONFIGURE_MESSAGE, bytes((order,))),
            Option(11, auth.option_value(next(self._replay), 2, bytes(16))),
        )
        return auth.sign(wire.encode(Message(MessageType.RECONFIGURE, 0, options)), self.settings.key)

    def _broken_over_time(self, client: bytes, message: Message, now: float) -> Iterator[str]:
        elapsed = int.from_bytes(message.first(ELAPSED) or b"", "big") / 100
        begun = self._begun.setdefault((client, message.xid), now - elapsed)
        if elapsed < 655 and abs(now - elapsed - begun) > 1:
            yield "the elapsed time does not go on (§21.9)"
        if message.type is not MessageType.REQUEST or message.first(SERVER_ID) != self.settings.duid:
            return
        for ia in associations(message):
            known = self._offered.get((client, ia.association), set())
            if known and not {grant.asset for grant in ia.grants} <= known:
                yield f"Request for what was not offered in {ia.association} (§18.2.2)"

    # What clients say (§18.3.1 to §18.3.8)

    def _answer(self, client: bytes, message: Message, now: float) -> Message | None:
        match message.type:
            case MessageType.SOLICIT if self.settings.rapid_commit and message.first(RAPID_COMMIT) is not None:
                given = [self._give(client, ia, now) for ia in associations(message)]
                return self._reply(client, message, given, rapid=True)
            case MessageType.SOLICIT:
                return self._reply(client, message, [self._offer(client, ia, now) for ia in associations(message)])
            case MessageType.REQUEST:
                return self._reply(client, message, [self._give(client, ia, now) for ia in associations(message)])
            case MessageType.RENEW | MessageType.REBIND:
                extended = [self._extend(client, ia, message.type, now) for ia in associations(message)]
                return (
                    self._reply(client, message, [ia for ia in extended if ia is not None]) if any(extended) else None
                )
            case MessageType.CONFIRM:
                assets = [grant.asset for ia in associations(message) for grant in ia.grants]
                status = SUCCESS if all(map(self.settings.serves, assets)) else Status(StatusCode.NOT_ON_LINK)
                return self._reply(client, message, [], status=status) if assets else None
            case MessageType.RELEASE | MessageType.DECLINE:
                self._take_back(client, message)
                return self._reply(client, message, [])
            case MessageType.INFORMATION_REQUEST:
                return self._reply(client, message, [])
            case _:
                return None

    def _take_back(self, client: bytes, message: Message) -> None:
        for ia in associations(message):
            for grant in ia.grants if message.type is MessageType.DECLINE else ():
                self.leases.decline((client, ia.association), grant.asset)
            self.leases.release((client, ia.association))

    # Associations

    def _offer(self, client: bytes, ia: IdentityAssociation, now: float) -> IdentityAssociation:
        asset = self._pick((client, ia.association), ia, now)
        if asset is None:
            return IdentityAssociation(ia.association, status=_NONE_LEFT[ia.association.kind])
        self._offered.setdefault((client, ia.association), set()).add(asset)
        return self._granted(ia.association, asset)

    def _give(self, client: bytes, ia: IdentityAssociation, now: float) -> IdentityAssociation:
        key = (client, ia.association)
        asset = self._pick(key, ia, now)
        if asset is None:
            return IdentityAssociation(ia.association, status=_NONE_LEFT[ia.association.kind])
        self.leases.grant(key, asset, math.inf if self.settings.valid == INFINITE else now + self.settings.valid)
        self._offered.setdefault(key, set()).add(asset)
        return self._granted(ia.association, asset)

    def _extend(
        self, client: bytes, ia: IdentityAssociation, kind: MessageType, now: float
    ) -> IdentityAssociation | None:
        """§18.3.4, §18.3.5. None: nothing is said of it."""
        held = self.leases.of((client, ia.association), now)
        wrong = tuple(Grant(g.asset) for g in ia.grants if not self.settings.serves(g.asset))
        if held is None and ia.grants and not wrong and not self.settings.creates:
            return None if kind is MessageType.REBIND else self._unknown(ia.association)
        if held is None and not self.settings.creates:
            return attrs.evolve(self._unknown(ia.association), grants=wrong) if wrong else self._unknown(ia.association)
        given = self._give(client, ia, now)
        theirs = {grant.asset for grant in given.grants}
        gone = tuple(Grant(g.asset) for g in ia.grants if g.asset not in theirs)  # lifetimes 0
        return attrs.evolve(given, grants=(*gone, *given.grants))

    def _unknown(self, which: Association) -> IdentityAssociation:
        return IdentityAssociation(which, status=Status(StatusCode.NO_BINDING))

    def _pick(self, key: tuple[bytes, Association], ia: IdentityAssociation, now: float) -> Asset | None:
        """What the client has or had, else what it would like, else what is free (§18.3.1)."""
        if self.settings.restless and key[1].kind is Kind.PD:
            pool = itertools.islice(self.settings.pool(Kind.PD), next(self._given) % 200, None)
            return next((asset for asset in pool if self.leases.free_for(key, asset, now)), None)
        last = self.leases.last(key)
        wishes = ([] if last is None else [last]) + [grant.asset for grant in ia.grants]
        candidates = itertools.chain(wishes, self.settings.pool(key[1].kind))
        usable = (asset for asset in candidates if self.settings.serves(asset))
        return next((asset for asset in usable if self.leases.free_for(key, asset, now)), None)

    def _granted(self, which: Association, asset: Asset) -> IdentityAssociation:
        excluded = None
        if self.settings.excluded is not None and isinstance(asset, IPv6Network):
            excluded = next(asset.subnets(new_prefix=self.settings.excluded))
        grant = Grant(asset, self.settings.preferred, self.settings.valid, excluded)
        return IdentityAssociation(which, self.settings.t1, self.settings.t2, (grant,))

    # Replies

    def _reply(
        self,
        client: bytes,
        request: Message,
        given: list[IdentityAssociation],
        *,
        status: Status = SUCCESS,
        rapid: bool = False,
    ) -> Message:
        kind = MessageType.REPLY
        options = [Option(CLIENT_ID, client), Option(SERVER_ID, self.settings.duid), *map(association.encode, given)]
        if not status.ok:
            options.append(Option(13, status.code.to_bytes(2, "big")))
        if rapid:
            options.append(Option(RAPID_COMMIT, b""))
        elif request.type is MessageType.SOLICIT:
            kind = MessageType.ADVERTISE
            if self.settings.preference is not None:
                options.append(Option(7, bytes((self.settings.preference,))))
        wanted = request.first(REQUEST) or b""
        codes = {int.from_bytes(wanted[at : at + 2], "big") for at in range(0, len(wanted), 2)}
        options += [o for o in self.settings.options if o.code in codes and o.code not in _UNTOLD]
        if self.settings.key and kind is MessageType.REPLY and request.first(RECONFIGURE_ACCEPT) is not None:
            options.append(Option(RECONFIGURE_ACCEPT, b""))
            options.append(Option(11, auth.option_value(next(self._replay), 1, self.settings.key)))
        return Message(kind, request.xid, tuple(options))
