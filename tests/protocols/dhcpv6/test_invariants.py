"""What must hold of a client whatever a server says, whatever the link does and whenever it is killed: a book is kept
beside it of all that was ever granted, from the messages alone."""

from __future__ import annotations

import random
from ipaddress import IPv6Network
from typing import Any

import attrs
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from routerd.protocols.dhcpv6 import inputs, outputs, record, states
from routerd.protocols.dhcpv6.association import Asset, Association, Grant, IdentityAssociation, Kind, Status
from routerd.protocols.dhcpv6.client import Client
from routerd.protocols.dhcpv6.message import Message, MessageType, Option
from routerd.protocols.machine import Dropped, Start, Stop, Tick
from tests.protocols.dhcpv6.scene import (
    ADDRESS,
    DUID,
    INFINITE,
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
    SERVER,
    Scene,
)
from tests.protocols.timeline import of

M = MessageType
NEVER = float("inf")
EPSILON = 1e-3
TWO_HOURS = 7200.0
WALL = 1_700_000_000.0
POOL: dict[Kind, list[Asset]] = {
    Kind.NA: [ADDRESS, OTHER_ADDRESS],
    Kind.PD: [PREFIX, OTHER_PREFIX, PREFIX2, IPv6Network("2001:db8:400::/48"), IPv6Network("2001:db8:500::/64")],
}
LIFETIMES = st.sampled_from([0, 0, 1, 5, 60, 600, 5000, 5000, 86400, 2**31, INFINITE])
MORE = st.sampled_from([(), (), (), (Option(14, b""),), (Option(13, b"\0\1"),), (Option(13, b"\0\4"),)])
STATUS = st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 77]).map(Status)


@st.composite
def grants(draw: st.DrawFn, kind: Kind) -> Grant:
    one, other = draw(LIFETIMES), draw(LIFETIMES)
    if draw(st.sampled_from([True, True, True, False])):
        one, other = min(one, other), max(one, other)
    return Grant(draw(st.sampled_from(POOL[kind])), one, other, status=draw(STATUS))


@st.composite
def associations(draw: st.DrawFn, which: Association) -> IdentityAssociation:
    given = draw(st.lists(grants(which.kind), max_size=3, unique_by=lambda grant: grant.asset))
    t1, t2 = draw(st.sampled_from([(0, 0), (0, 0), (1, 2), (100, 160), (200, 100), (INFINITE, INFINITE), (0, 7)]))
    return IdentityAssociation(which, t1, t2, tuple(given), draw(STATUS))


def until(end: float | None) -> float:
    return NEVER if end is None else end


class Invariants(RuleBasedStateMachine):
    """`granted`: until when an asset may be used at most, by any Reply ever. `announced`: every prefix that the LAN was
    ever told of and must still be told of, with the instant until which it must."""

    @initialize(seed=st.integers(0, 2**32 - 1), rapid=st.booleans())
    def begin(self, seed: int, rapid: bool) -> None:
        self.lives = self.seed = seed
        self.scene = Scene(NA, PD, PD2, seed=seed, hints={PD: LENGTH}, rapid_commit=rapid)
        self.granted: dict[Asset, float] = {}
        self.held: dict[Asset, float] = {}
        self.announced: dict[Asset, float] = {}
        self.boot, self.wall = "one", WALL
        self.sent: list[float] = []
        self.feed(Start())
        self.feed(LINK)

    @property
    def now(self) -> float:
        return self.scene.now

    def feed(self, event: object) -> list[Any]:
        before = self.scene.machine.memory
        out = self.scene.feed(event)
        self.sent += [self.now for _ in of(outputs.Send, out)]
        if out and all(isinstance(one, Dropped) for one in out):
            assert self.scene.machine.memory == before
        self.book()
        return out

    def book(self) -> None:
        """What is held now; what was, and is not any more, must be told of as ended (V6-21, V6-22)."""
        leases = [lease for b in self.scene.machine.bindings.values() for lease in b.leases]
        held = {lease.asset: until(lease.valid_until) for lease in leases}
        for asset, end in self.held.items():
            if asset not in held and isinstance(asset, IPv6Network) and end > self.now + EPSILON:
                self.announced[asset] = min(end, self.now + TWO_HOURS)
        for asset in held:
            self.announced.pop(asset, None)
        self.held = held

    def tick(self) -> None:
        self.feed(Tick())
        assert self.scene.machine.deadline is None or self.scene.machine.deadline > self.now

    @rule(
        data=st.data(),
        kind=st.sampled_from([M.ADVERTISE, M.REPLY, M.REPLY]),
        server=st.sampled_from([SERVER] * 3 + [OTHER_SERVER]),
    )
    def a_server_says_anything(self, data: st.DataObject, kind: MessageType, server: bytes) -> None:
        """In the exchange of now, well-formed."""
        if not self.scene.sent:
            return
        ias = [data.draw(associations(which)) for which in data.draw(st.sets(st.sampled_from([NA, PD, PD2])))]
        more = data.draw(
            st.sampled_from([(), (), (), (Option(14, b""),), (Option(13, b"\0\1"),), (Option(13, b"\0\4"),)])
        )
        self.grant(ias)
        out = self.feed(self.scene.message(kind, *ias, server=server, options=more))
        if kind is M.REPLY:
            self.check_the_answer(ias, out)

    @rule(rapid=st.booleans())
    def a_server_is_honest(self, rapid: bool) -> None:
        if not self.scene.sent:
            return
        self.answer(self.scene.sent[-1])

    def answer(self, asked: Message, valid: int = 5000) -> None:
        ias = [
            IdentityAssociation(NA, 0, 0, (Grant(ADDRESS, 3000, valid),)),
            IdentityAssociation(PD, 0, 0, (Grant(PREFIX, 3000, valid),)),
            IdentityAssociation(PD2, 0, 0, (Grant(PREFIX2, 3000, valid),)),
        ]
        if asked.type is M.SOLICIT:
            self.feed(self.scene.message(M.ADVERTISE, *ias, to=asked))
        elif asked.type in (M.REQUEST, M.RENEW, M.REBIND):
            self.grant(ias)
            self.feed(self.scene.message(M.REPLY, *ias, to=asked, server=asked.first(2) or SERVER))
        elif asked.type in (M.CONFIRM, M.RELEASE, M.DECLINE):
            self.feed(self.scene.message(M.REPLY, to=asked, options=(Option(13, b"\0\0"),)))

    def grant(self, ias: list[IdentityAssociation]) -> None:
        for one in (grant for ia in ias for grant in ia.grants):
            end = NEVER if one.valid == INFINITE else self.now + one.valid
            self.granted[one.asset] = max(end, self.granted.get(one.asset, 0.0))

    def check_the_answer(self, ias: list[IdentityAssociation], out: list[Any]) -> None:
        """What a Reply extends ends when that Reply says, even if it was longer before (V6-18)."""
        extended = [one for one in out if isinstance(one, outputs.Bound | outputs.Extended | outputs.Changed)]
        told = {(ia.association, grant.asset): grant for ia in ias for grant in ia.grants}
        for binding in (one.binding for one in extended):
            for lease in binding.leases:
                grant = told.get((binding.association, lease.asset))
                if grant is None or not grant.status.ok or grant.preferred > grant.valid or grant.valid == INFINITE:
                    continue
                assert until(lease.valid_until) <= self.now + grant.valid + EPSILON
                assert until(lease.preferred_until) <= self.now + grant.preferred + EPSILON

    @rule(late=st.sampled_from([0.0, 0.0, 0.0, 0.0, 1.0, 100.0, 1e4, 1e6]))
    def time_goes_by(self, late: float) -> None:
        if self.scene.machine.deadline is not None:
            self.scene.now = max(self.now, self.scene.machine.deadline) + late
            self.tick()

    @rule(seconds=st.floats(0, 5000))
    def some_time_goes_by(self, seconds: float) -> None:
        """Every deadline is kept."""
        end = self.now + seconds
        while (deadline := self.scene.machine.deadline) is not None and deadline <= end:
            self.scene.now = max(self.now, deadline)
            self.tick()
        self.scene.now = end

    @rule(
        event=st.sampled_from(
            [
                inputs.LinkDown(),
                LINK,
                LINK,
                inputs.NetworkChanged(),
                inputs.SendFailed("no route"),
                inputs.Conflict(ADDRESS),
                inputs.Renew(),
                inputs.Rebind(),
                inputs.RequestInformation(),
            ]
        )
    )
    def something_happens(self, event: object) -> None:
        self.feed(event)

    @rule(
        event=st.sampled_from(
            [
                inputs.Release(),
                inputs.Flush(),
                inputs.LinkGone(),
                attrs.evolve(LINK, mac=OTHER_MAC),
                Stop(),
                Stop(release=True),
            ]
        )
    )
    def it_ends_and_begins_again(self, event: object) -> None:
        self.feed(event)
        self.feed(Start())

    @rule(reboot=st.booleans(), away=st.sampled_from([0.0, 0.5, 60.0, 4000.0, 1e6]))
    def killed(self, reboot: bool, away: float) -> None:
        """And begun again out of what its file says."""
        machine = self.scene.machine
        kept = record.ClientRecord(
            "wan", "eth0", "bound", machine.memory, DUID, self.boot, self.now, self.wall + self.now
        )
        loaded = record.load(record.dump(kept))
        assert isinstance(loaded, record.ClientRecord)
        assert loaded.memory == machine.memory
        self.scene.now += away
        wall = self.wall + self.now
        if reboot:
            self.boot += "!"
        revived = record.revive(loaded, boot_id=self.boot, now=self.now, wall=wall, build_date=0.0)
        self.lives += 1
        self.scene.machine = Client(machine._station.settings, random.Random(self.lives), revived)
        self.feed(Start())
        self.feed(LINK)

    @invariant()
    def nothing_is_held_but_what_was_granted(self) -> None:
        if not hasattr(self, "scene"):
            return
        for which, binding in self.scene.machine.bindings.items():
            assert binding.leases, "bound to nothing"
            for lease in binding.leases:
                assert isinstance(lease.asset, IPv6Network) is (which.kind is Kind.PD)
                end = until(lease.valid_until)
                assert end <= self.granted[lease.asset] + EPSILON, "nobody granted it that long"
                assert until(lease.preferred_until) <= end + EPSILON

    @invariant()
    def what_was_announced_is_taken_back(self) -> None:
        if not hasattr(self, "scene"):
            return
        former = {one.lease.asset: until(one.lease.valid_until) for one in self.scene.machine.former}
        held = set(self.held)
        assert not held & set(former), "a prefix is current or former"
        for asset, end in self.announced.items():
            if end > self.now + EPSILON:
                assert asset in former, f"the LAN is not told that {asset} ended"
                assert former[asset] >= end - EPSILON
        for end in former.values():
            assert end <= self.now + TWO_HOURS + EPSILON

    @invariant()
    def it_lives(self) -> None:
        if hasattr(self, "scene"):
            rests = isinstance(self.scene.state, states.Stopped | states.NoLink)
            held = self.scene.machine.bindings.values()
            for_ever = bool(held) and all(lease.valid_until is None for b in held for lease in b.leases)
            assert rests or for_ever or self.scene.machine.deadline is not None, self.scene.state
            assert len([at for at in self.sent if at > self.now - 60]) <= 70

    def teardown(self) -> None:
        """An honest server at last: whatever was before, all of it is held within two hours."""
        if not hasattr(self, "scene"):
            return
        self.feed(LINK)
        if isinstance(self.scene.state, states.Stopped):
            return
        answered, end = 0, self.now + TWO_HOURS
        while self.now < end:
            while answered < len(self.scene.sent):
                answered = len(self.scene.sent)
                self.answer(self.scene.sent[-1])
            deadline = self.scene.machine.deadline
            if deadline is None or deadline > end:
                break
            self.scene.now = max(self.now, deadline)
            self.tick()
            self.nothing_is_held_but_what_was_granted()
            self.what_was_announced_is_taken_back()
            self.it_lives()
        assert set(self.scene.held) == {NA, PD, PD2}, self.scene.held


TestInvariants = Invariants.TestCase
TestInvariants.settings = hypothesis_settings(max_examples=150, stateful_step_count=40, deadline=None, derandomize=True)
