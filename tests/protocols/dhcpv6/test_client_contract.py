"""The contract of machines, for the DHCPv6 client."""

import random
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

from routerd.protocols.dhcpv6 import association, inputs, outputs, states
from routerd.protocols.dhcpv6.association import Asset, Association, Grant, IdentityAssociation, Kind, Status
from routerd.protocols.dhcpv6.client import Client
from routerd.protocols.dhcpv6.message import Message, MessageType, Option
from routerd.protocols.dhcpv6.settings import Settings, Wanted
from routerd.protocols.machine import Refused, Start, Stop
from tests.protocols.contract import THOROUGH, Contract
from tests.protocols.dhcpv6.scene import (
    ADDRESS,
    DUID,
    INFINITE,
    KEY,
    LENGTH,
    LINK,
    NA,
    OTHER_ADDRESS,
    OTHER_MAC,
    OTHER_PREFIX,
    OTHER_SERVER,
    PD,
    PD2,
    PREFIX,
    PREFIX2,
    ROUTER,
    SERVER,
    binding,
    memory,
)

M = MessageType
COMMANDS = (inputs.Renew, inputs.Rebind, inputs.Release, inputs.RequestInformation, inputs.Flush)
LIFETIMES = st.sampled_from([0, 1, 20, 60, 600, 3600, 86400, 2**31, INFINITE - 1, INFINITE])
STATUSES = st.sampled_from([0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 77]).map(Status)


@st.composite
def grants(draw: st.DrawFn, kind: Kind) -> Grant:
    assets: list[Asset] = [ADDRESS, OTHER_ADDRESS] if kind is Kind.NA else [PREFIX, OTHER_PREFIX, PREFIX2]
    sound = draw(st.booleans())
    preferred, valid = (3000, 5000) if sound else (draw(LIFETIMES), draw(LIFETIMES))
    return Grant(draw(st.sampled_from(assets)), preferred, valid, status=Status(0) if sound else draw(STATUSES))


@st.composite
def associations(draw: st.DrawFn, which: Association) -> IdentityAssociation:
    given = draw(st.lists(grants(which.kind), max_size=2, unique_by=lambda grant: grant.asset))
    times = draw(st.sampled_from([(0, 0), (0, 0), (100, 160), (1, 1), (200, 100), (INFINITE, INFINITE), (0, 7)]))
    return IdentityAssociation(which, *times, tuple(given), draw(STATUSES))


EXTRAS = st.lists(
    st.sampled_from(
        [
            Option(7, b"\xff"),
            Option(14, b""),
            Option(13, b"\0\1"),
            Option(13, b"\0\4"),
            Option(82, (100).to_bytes(4, "big")),
            Option(32, (600).to_bytes(4, "big")),
            Option(11, b"\3\1\0" + bytes(8) + b"\1" + KEY),
            Option(19, b"\5"),
            Option(23, bytes.fromhex("20010db8") + bytes(12)),
        ]
    ),
    max_size=3,
)
OTHERS = st.sampled_from(
    [
        Start(),
        Stop(),
        Stop(release=True),
        *[LINK] * 4,
        attrs.evolve(LINK, mac=OTHER_MAC),
        attrs.evolve(LINK, ifindex=3),
        attrs.evolve(LINK, mac=b""),
        inputs.LinkDown(),
        inputs.LinkDown(),
        inputs.LinkGone(),
        inputs.SendFailed("No buffer space available"),
        inputs.Conflict(ADDRESS),
        inputs.NetworkChanged(),
        inputs.Leave(frozenset({PD})),
        *(command() for command in COMMANDS),
    ]
)


@st.composite
def messages(draw: st.DrawFn, awaited: int, wanted: MessageType) -> inputs.Received:
    """What a server might say, mostly in the right exchange and mostly with all it needs."""
    sound = draw(st.booleans())
    parts = [Option(1, DUID if sound else draw(st.sampled_from([DUID, SERVER])))]
    parts.append(Option(2, draw(st.sampled_from([SERVER, SERVER, OTHER_SERVER]))))
    for which in draw(st.lists(st.sampled_from([NA, PD, PD2]), max_size=3, unique=True)):
        parts.append(association.encode(draw(associations(which))))
    kind = wanted if sound else draw(st.sampled_from(M))
    xid = awaited if sound else draw(st.sampled_from([awaited, 0, 1]))
    return inputs.Received(Message(kind, xid, (*parts, *draw(EXTRAS))), ROUTER, unicast=sound or draw(st.booleans()))


class ClientContract(Contract):
    packets = (outputs.Send,)

    def make(self, seed: int) -> Client:
        rng = random.Random(seed)
        wanted = [Wanted(NA), Wanted(PD, LENGTH), Wanted(PD2)][: rng.choice([0, 1, 2, 3, 3])]
        settings = Settings(DUID, tuple(wanted), rapid_commit=rng.random() < 0.3, reconfigure=rng.random() < 0.3)
        kept = memory(
            binding(NA, now=0, valid=rng.choice([50, 2e6, None])),
            binding(PD, now=0, valid=rng.choice([3600, 2e6])),
            trusted=rng.random() < 0.5,
        )
        self.held: dict[Association, set[Asset]] = {}
        self.deprecated: set[Asset] = set()
        self.asked = self.answered = 0
        return Client(settings, random.Random(seed), kept if rng.random() < 0.4 else None)

    def rests(self) -> bool:
        return isinstance(self.machine.state, states.Stopped | states.NoLink | states.Bound | states.Informed)

    def draw_event(self, data: st.DataObject) -> object:
        exchange = getattr(self.machine.state, "exchange", None)
        kind = M.ADVERTISE if isinstance(self.machine.state, states.Soliciting) else M.REPLY
        message = messages(exchange.xid if exchange is not None else 1, kind)
        return data.draw(st.one_of(message, message, message, OTHERS))

    def saw(self, event: object, said: list[Any]) -> None:
        self.asked += isinstance(event, COMMANDS)
        for output in said:
            self.follow(output)
        now_held = {which: {lease.asset for lease in b.leases} for which, b in self.machine.bindings.items()}
        if isinstance(self.machine.state, states.Stopped | states.Releasing):
            assert now_held == {}
            self.held = {}
        assert now_held == self.held
        assert all(assets for assets in now_held.values()), "bound to nothing"
        ends = [lease.valid_until for b in self.machine.bindings.values() for lease in b.leases]
        for end in ends:  # never past its end, and woken there at the latest
            assert end is None or (end > self.now and self.machine.deadline <= end)
        if isinstance(self.machine.state, states.Bound):
            assert now_held
            times = [t for b in self.machine.bindings.values() for t in (b.t1, b.t2) if t is not None]
            assert not times or self.machine.deadline is not None
        pending = 1 if self.machine._station.command is not None else 0
        assert self.asked == self.answered + pending

    def follow(self, output: object) -> None:
        match output:
            case outputs.Bound(held) | outputs.Resumed(held):
                assert held.association not in self.held
                self.held[held.association] = {lease.asset for lease in held.leases}
            case outputs.Extended(held) | outputs.Changed(held):
                assert held.association in self.held
                self.held[held.association] = {lease.asset for lease in held.leases}
            case outputs.Lost(which, lease):
                self.held.get(which, set()).discard(lease.asset)
                if not self.held.get(which):
                    self.held.pop(which, None)
            case outputs.Finished() | Refused():
                self.answered += 1
            case outputs.Send(message):
                assert message.first(1) == DUID
                assert message.first(8) is not None
                assert (message.type in (M.REQUEST, M.RENEW, M.RELEASE, M.DECLINE)) is (message.first(2) is not None)


TestClient = pytest.mark.req("C1")(pytest.mark.req("C7")(pytest.mark.req("C8", "breaks")(ClientContract.TestCase)))
TestClient.settings = THOROUGH
