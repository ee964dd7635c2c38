"""Providers as they are: servers that lose their minds, lie, or change them, for hours on a timeline. A `Provider`
answers every message at once, by rules that a test may break while it runs."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Network

import attrs
import pytest

from routerd.protocols.dhcpv6 import outputs, record, states
from routerd.protocols.dhcpv6.association import Association, Grant, IdentityAssociation, Status
from routerd.protocols.dhcpv6.client import Client
from routerd.protocols.dhcpv6.inputs import LinkDown
from routerd.protocols.dhcpv6.message import Message, MessageType, Option
from routerd.protocols.machine import Start
from tests.protocols.dhcpv6.scene import (
    ADDRESS,
    DUID,
    INFINITE,
    LENGTH,
    LINK,
    NA,
    OTHER_PREFIX,
    OTHER_SERVER,
    PD,
    PREFIX,
    PREFIX2,
    SERVER,
    Scene,
    status_option,
    u32_option,
)
from tests.protocols.timeline import gaps

M = MessageType
HOUR = 3600.0
ANSWERS = {
    M.SOLICIT: M.ADVERTISE,
    M.REQUEST: M.REPLY,
    M.RENEW: M.REPLY,
    M.REBIND: M.REPLY,
    M.CONFIRM: M.REPLY,
    M.RELEASE: M.REPLY,
    M.DECLINE: M.REPLY,
}
Says = Callable[[Message, int], "IdentityAssociation | None"]


@attrs.define
class Provider:
    """`says` is what it has to say about the delegation, given the message and how many came before it; None: it does
    not answer at all. `speaks` are further options, `server` who it is."""

    scene: Scene
    says: Says
    speaks: tuple[Option, ...] = ()
    server: bytes = SERVER
    heard: int = 0
    _read: int = 0

    def deaf_until_now(self) -> None:
        """What was sent before is answered no more."""
        self._read = len(self.scene.said)

    def live(self, seconds: float) -> None:
        """Time goes by, and what the client sends is answered before anything else happens."""
        end = self.scene.now + seconds
        while True:
            while self._read < len(self.scene.said):
                said = self.scene.said[self._read].output
                self._read += 1
                if isinstance(said, outputs.Send):
                    self.heard += 1
                    self._answer(said.message)
            deadline = self.scene.machine.deadline
            if deadline is None or deadline > end:
                break
            self.scene.run(max(deadline - self.scene.now, 0.0))
        self.scene.now = end

    def _answer(self, message: Message) -> None:
        addressed = message.first(2)
        if addressed not in (None, self.server) or message.type not in ANSWERS:
            return
        said = self.says(message, self.heard)
        if said is not None:
            answer = self.scene.message(
                ANSWERS[message.type], said, to=message, server=self.server, options=self.speaks
            )
            self.scene.feed(answer)


def street(says: Says, *wanted: Association, **more: object) -> Provider:
    scene = Scene(*(wanted or (PD,)), hints={PD: LENGTH}).started()
    return Provider(scene, says, **more)  # type: ignore[arg-type]


def pd(*grants: Grant, t1: int = 0, t2: int = 0, status: int = 0) -> IdentityAssociation:
    return IdentityAssociation(PD, t1, t2, grants, Status(status))


def good(message: Message, number: int, network: IPv6Network = PREFIX) -> IdentityAssociation:
    return pd(Grant(network, 3000, 4000))


def most_in_a_minute(scene: Scene) -> int:
    times = scene.times(outputs.Send)
    return max(bisect_left(times, start + 60) - number for number, start in enumerate(times))


def held_all_the_time(scene: Scene, since: float) -> bool:
    return not [said for said in scene.said if isinstance(said.output, outputs.Lost) and said.at >= since]


def test_an_ordinary_day() -> None:
    provider = street(good)
    provider.live(24 * HOUR)
    counts = Counter(message.type for message in provider.scene.sent)
    assert counts == {M.SOLICIT: 1, M.REQUEST: 1, M.RENEW: pytest.approx(57, abs=1)}
    assert held_all_the_time(provider.scene, 0)


def test_a_different_prefix_each_time() -> None:
    """Every answer another one: what was held goes to the LAN's past, and no more than fits two hours of it."""
    provider = street(lambda _, n: good(_, n, IPv6Network((0x20010DB8 << 96 | n << 72, 56))))
    provider.live(24 * HOUR)
    scene = provider.scene
    assert len(scene.held[PD]) == 1
    assert len(scene.machine.former) <= 7200 / 1500 + 2
    assert most_in_a_minute(scene) <= 4
    changed = {one.lease.asset for one in scene.all(outputs.Deprecated)}
    ended = {one.lease.asset for one in scene.all(outputs.Lost)}
    assert {one.lease.asset for one in scene.machine.former} == changed - ended


@pytest.mark.parametrize("t1", [1, 30])
def test_a_different_prefix_as_often_as_it_can(t1: int) -> None:
    """T1 of a second: what must be remembered has a bound, and so has what is sent."""
    provider = street(
        lambda _, n: pd(Grant(IPv6Network((0x20010DB8 << 96 | n << 72, 56)), INFINITE, INFINITE), t1=t1, t2=t1)
    )
    provider.live(24 * HOUR)
    scene = provider.scene
    assert all(gap > 25 for gap in gaps(scene.sent_at(M.RENEW, M.REBIND)))
    assert len(scene.machine.former) <= 64
    assert len(record.dump(kept(scene))) < 100_000


def kept(scene: Scene) -> record.ClientRecord:
    return record.ClientRecord("wan", "eth0", "bound", scene.machine.memory, DUID, "boot", scene.now, 1.7e9)


@pytest.mark.parametrize("length", [64, 60, 57, 56, 48, 32])
def test_a_length_that_was_not_asked_for_is_kept(length: int) -> None:
    """§18.2.9: what is offered is a matter of the server's; a longer one is told of."""
    network = IPv6Network(f"2001:db8::/{length}")
    provider = street(lambda m, n: good(m, n, network))
    provider.live(24 * HOUR)
    scene = provider.scene
    assert scene.held == {PD: [network]}
    assert Counter(m.type for m in scene.sent)[M.SOLICIT] == 1
    assert len(scene.all(outputs.Smaller)) == (1 if length > 56 else 0)


def test_a_length_that_grows_and_shrinks() -> None:
    """Nested prefixes: the /48 holds the /56; each is what is held, and the others are deprecated or were within."""
    nested = [IPv6Network(f"2001:db8::/{length}") for length in (56, 48, 60, 56)]
    provider = street(lambda m, n: good(m, n, nested[n // 2 % 4]))
    provider.live(10 * HOUR)
    assert len(provider.scene.held[PD]) == 1
    assert provider.scene.held[PD][0] in nested
    former = [one.lease.asset for one in provider.scene.machine.former]
    assert len(former) == len(set(former))
    assert provider.scene.held[PD][0] not in former


def test_leases_of_five_seconds() -> None:
    """T1 1, valid 5: not more than the server grants, and not a storm (V6-16, C9)."""
    provider = street(lambda _, n: pd(Grant(PREFIX, 4, 5), t1=1, t2=2))
    provider.live(HOUR)
    assert most_in_a_minute(provider.scene) <= 30
    assert provider.scene.machine.deadline is not None
    assert len([at for at in provider.scene.times(outputs.Bound) if at > provider.scene.now - HOUR / 2]) >= 5


def test_offers_that_are_never_kept() -> None:
    """Advertise with a prefix, Reply with NoPrefixAvail; for a day."""
    provider = street(lambda m, n: good(m, n) if m.type is M.SOLICIT else pd(status=6))
    provider.live(24 * HOUR)
    scene = provider.scene
    assert scene.held == {}
    assert len(scene.sent) < 24 * 60 * 2
    late = [at for at in scene.times(outputs.Send) if at > scene.now - HOUR]
    assert 0 < len(late) <= 120, "slower and slower, but never given up"


@pytest.mark.parametrize("status", [1, 2, 3, 4, 5, 6, 7, 65535])
@pytest.mark.parametrize("level", ["message", "association", "prefix"])
@pytest.mark.parametrize("kind", [M.SOLICIT, M.REQUEST, M.RENEW, M.REBIND])
def test_a_status_at_each_level_of_each_message(kind: MessageType, level: str, status: int) -> None:
    """An hour of it, and then the server recovers: within two hours all is as it should be."""
    provider = street(good)

    def says(message: Message, number: int) -> IdentityAssociation | None:
        provider.speaks = ()
        if kind is M.REBIND and message.type is M.RENEW:
            return None
        if message.type is not kind:
            return good(message, number)
        if level == "message":
            provider.speaks = (status_option(status, b"\xff\0 no"),)
            return pd()
        if level == "association":
            return pd(status=status)
        return pd(Grant(PREFIX, 3000, 4000, status=Status(status)))

    provider.says = says
    provider.live(3 * HOUR)
    scene = provider.scene
    assert most_in_a_minute(scene) <= 20
    assert scene.machine.deadline is not None
    for held in scene.machine.bindings.values():
        assert [lease.asset for lease in held.leases] == [PREFIX]
    provider.says = good
    provider.speaks = ()
    provider.live(2 * HOUR)
    assert scene.held == {PD: [PREFIX]}


def test_solicit_answered_by_reply() -> None:
    """Without the option on either side that is nothing; the server is asked by the book when it learns better."""
    provider = street(good)
    scene = provider.scene
    for _ in range(20):
        scene.until_sent(M.SOLICIT)
        scene.reply(good(scene.sent[-1], 0))
    assert scene.held == {}
    assert isinstance(scene.state, states.Soliciting)
    provider.deaf_until_now()
    provider.live(1.2 * HOUR)
    assert scene.held == {PD: [PREFIX]}


def test_two_servers_that_take_turns() -> None:
    """One is gone each time a Renew is due; the other one's Rebind brings its own prefix; both prefixes may be used
    until their ends."""
    one = street(good)
    other = Provider(one.scene, lambda m, n: good(m, n, OTHER_PREFIX), server=OTHER_SERVER)
    one.live(1000)
    for provider, network in ((other, OTHER_PREFIX), (one, PREFIX), (other, OTHER_PREFIX)):
        provider.deaf_until_now()
        provider.live(3500)
        assert one.scene.held == {PD: [network]}
        assert network not in [former.lease.asset for former in one.scene.machine.former]
    assert M.REBIND in {message.type for message in one.scene.sent}


def test_the_pace_outlives_a_restart_and_not_a_change_of_the_link() -> None:
    """§18.2.9, V6-28: SOL_MAX_RT of an Advertise that had nothing else."""
    provider = street(lambda m, n: pd(status=6), speaks=(u32_option(82, 60),))
    provider.live(HOUR)
    scene = provider.scene
    assert scene.machine.memory.sol_max_rt == 60
    loaded = record.load(record.dump(kept(scene)))
    assert isinstance(loaded, record.ClientRecord)
    revived = record.revive(loaded, boot_id="boot", now=scene.now, wall=1.7e9, build_date=0)
    scene.machine = Client(scene.machine._station.settings, random.Random(5), revived)
    scene.feed(Start())
    scene.feed(LINK)
    provider.says = lambda m, n: None
    again = scene.now
    provider.live(HOUR)
    assert max(gaps([at for at in scene.sent_at(M.SOLICIT) if at > again])) <= 66
    scene.feed(attrs.evolve(LINK, mac=bytes.fromhex("02005e0000ff")))
    assert scene.machine.memory.sol_max_rt == 3600


def test_a_server_that_forgets_everything_at_noon() -> None:
    """NoBinding in the Renew: Request, and the LAN never hears of it, as the prefix is the same one."""
    provider = street(good)
    provider.live(1000)
    provider.says = lambda m, n: pd(status=3) if m.type is M.RENEW else good(m, n)
    began = provider.scene.now
    provider.live(10 * HOUR)
    assert provider.scene.held == {PD: [PREFIX]}
    assert held_all_the_time(provider.scene, began)
    assert provider.scene.all(outputs.Deprecated) == []


def test_asleep_for_a_night() -> None:
    """Suspended past the end: what is over is said to be over before anything is asked (C3)."""
    provider = street(good)
    provider.live(1000)
    scene = provider.scene
    before, asked = len(scene.said), len(scene.sent)
    scene.sleep(30_000)
    words = [type(said.output) for said in scene.said[before:]]
    assert words.index(outputs.Lost) < (words.index(outputs.Send) if outputs.Send in words else len(words))
    assert M.RENEW not in {m.type for m in scene.sent[asked:]}
    provider.live(60)
    assert scene.held == {PD: [PREFIX]}


@pytest.mark.parametrize("years", [-10, 10])
@pytest.mark.parametrize("reboot", [False, True])
def test_a_clock_that_jumps_while_it_is_down(years: int, reboot: bool) -> None:
    """C2, C4: within a boot the wall clock says nothing; after one, a prefix is not used before a server confirms it,
    or asked for again; in every case it is held again at last, and no longer than it was granted."""
    provider = street(good)
    provider.live(1000)
    scene = provider.scene
    loaded = record.load(record.dump(kept(scene)))
    assert isinstance(loaded, record.ClientRecord)
    scene.now += 10
    wall = 1.7e9 + 10 + years * 365 * 86400
    boot = "another" if reboot else "boot"
    revived = record.revive(loaded, boot_id=boot, now=scene.now, wall=wall, build_date=1.6e9)
    scene.machine = Client(scene.machine._station.settings, random.Random(5), revived)
    scene.feed(Start())
    if not reboot:
        assert scene.held == {PD: [PREFIX]}
    for held in scene.machine.bindings.values():
        assert all(lease.valid_until is not None for lease in held.leases)
        assert all((lease.valid_until or 0) <= scene.now + 4000 for lease in held.leases)
    scene.feed(LINK)
    provider.live(60)
    assert scene.held == {PD: [PREFIX]}


def test_a_line_that_flaps_each_second() -> None:
    """Nothing is lost, and the line is asked within bounds (C9, V6-42)."""
    provider = street(good)
    provider.live(100)
    for _ in range(1200):
        provider.scene.feed(LinkDown())
        provider.live(0.5)
        provider.scene.feed(LINK)
        provider.live(0.5)
    assert held_all_the_time(provider.scene, 0)
    assert most_in_a_minute(provider.scene) <= 70
    provider.live(HOUR)
    assert provider.scene.held == {PD: [PREFIX]}


def test_an_address_and_no_prefix_for_a_day_and_then_both() -> None:
    """§6.6, V6-13: what is granted is used, and what is not is asked for."""
    provider = street(lambda m, n: None, NA, PD)
    scene = provider.scene
    state = {"prefix": False}

    def answer(to: Message) -> None:
        address = IdentityAssociation(NA, 0, 0, (Grant(ADDRESS, 3000, 4000),))
        prefix = good(to, 0, PREFIX2) if state["prefix"] else pd(status=6)
        scene.feed(scene.message(ANSWERS[to.type], address, prefix, to=to, server=SERVER))

    def live(seconds: float) -> None:
        end = scene.now + seconds
        heard = 0
        while True:
            while heard < len(scene.sent):
                heard = len(scene.sent)
                if scene.sent[-1].type in ANSWERS:
                    answer(scene.sent[-1])
            deadline = scene.machine.deadline
            if deadline is None or deadline > end:
                break
            scene.run(max(deadline - scene.now, 0.0))
        scene.now = end

    live(24 * HOUR)
    assert scene.held == {NA: [ADDRESS]}
    assert most_in_a_minute(scene) <= 6
    state["prefix"] = True
    live(HOUR)
    assert scene.held == {NA: [ADDRESS], PD: [PREFIX2]}
