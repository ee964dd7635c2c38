"""The edges of the rules of Neighbor Discovery: each of these fails when one condition of one rule is gone."""

from __future__ import annotations

import itertools
from ipaddress import IPv6Address, IPv6Network

import attrs

from routerd.protocols.machine import Start, Stop
from routerd.protocols.ndp.advertiser import Announce
from routerd.protocols.ndp.announcement import Announcement, LanPrefix, LanRoute
from routerd.protocols.ndp.link import LinkDown
from routerd.protocols.ndp.message import MoreSpecificRoute, NdpPacket, RouterAdvertisement
from tests.protocols.ndp import test_advertiser as router
from tests.protocols.ndp.test_discovery import ONE, TOLD, TWO, UP, advertised, learned, listening, started
from tests.protocols.timeline import gaps, of

SEEDS = range(30)
WHOLE = IPv6Network("2001:db8::/48")

# A host


def test_its_delay_and_its_waits_are_random_to_both_sides() -> None:
    """RFC 4861 §6.3.7 (0 to 1 s), RFC 7559 §2 (RAND in ±0.1)."""
    delays, firsts, factors, lasts = [], [], [], []
    for seed in SEEDS:
        line = started(seed)
        line.run(30000)
        times = line.solicited()
        waits = gaps(times)
        delays.append(times[0] - 1000)
        firsts.append(waits[0] / 4)
        factors += [after / before for before, after in itertools.pairwise(waits[:8])]
        lasts.append(waits[-1] / 3600)
    assert 0 <= min(delays) < 0.2
    assert 0.8 < max(delays) <= 1
    for found, middle in ((firsts, 1), (factors, 2), (lasts, 1)):
        assert middle - 0.1 <= min(found) < middle - 0.05
        assert middle + 0.05 < max(found) <= middle + 0.1


def test_who_is_no_default_router_does_not_make_it_ask_any_sooner() -> None:
    """RFC 7559: its words end nothing and begin nothing."""
    quiet, noisy = started(), started()
    quiet.run(500)
    for _ in range(500):
        noisy.run(1)
        noisy.feed(advertised(attrs.evolve(TOLD, lifetime=0)))
    assert noisy.solicited() == quiet.solicited()


def test_name_servers_and_domains_end_in_time_by_themselves() -> None:
    line = started()
    line.run(2)
    line.feed(advertised(attrs.evolve(TOLD, prefixes=(), lifetime=9000)))
    line.awake = {ONE}
    line.run(599)
    assert learned(line).name_servers
    assert learned(line).search_domains
    line.run(2)
    assert not learned(line).name_servers
    assert not learned(line).search_domains


def test_routes_of_another_link_go_with_it() -> None:
    line = listening(ONE)
    line.feed(advertised(attrs.evolve(TOLD, routes=(MoreSpecificRoute(WHOLE, 1800),))))
    line.feed(LinkDown())
    line.feed(UP)
    line.feed(advertised(attrs.evolve(TOLD, routes=(MoreSpecificRoute(WHOLE, 900),)), TWO))
    line.run(3)
    assert {key[1] for key in learned(line).routes} == {TWO}


def test_who_does_not_run_does_not_ask() -> None:
    line = started()
    line.feed(Stop())
    line.feed(LinkDown())
    line.feed(UP)
    line.run(100)
    assert line.solicited() == []
    line.feed(LinkDown())
    line.feed(Start())
    line.run(100)
    assert line.solicited() == []


# A router


def test_the_last_words_keep_their_distance_from_what_was_said_before() -> None:
    """RFC 4861 §10: MIN_DELAY_BETWEEN_RAS."""
    line = router.running(router.OLD)
    line.until(NdpPacket)
    said = line.now
    line.run(1)
    line.feed(Stop(release=True))
    line.run(20)
    assert [at - said for at in line.times(NdpPacket)[1:]] == [3, 6, 9]


def test_routes_are_taken_back_at_the_end() -> None:
    """RFC 4191 §2.3: a lifetime of zero."""
    line = router.running()
    line.feed(Announce(Announcement((LanPrefix(router.OLD),), routes=(LanRoute(WHOLE, 1800),))))
    line.run(100)
    line.said.clear()
    line.feed(Stop(release=True))
    line.run(20)
    told = [one.message for one in line.all(NdpPacket) if isinstance(one.message, RouterAdvertisement)]
    assert [one.routes for one in told] == [(MoreSpecificRoute(WHOLE, 0),)] * 3


def test_who_is_asked_twice_by_different_hosts_answers_each_when_it_is_due() -> None:
    line = router.running(router.OLD)
    hosts = [IPv6Address(f"fe80::{n:x}") for n in range(16, 20)]
    for host in hosts:
        line.feed(attrs.evolve(router.ASKING, source=host))
        line.run(0.1)
    line.run(1)
    answers = of(NdpPacket, [said.output for said in line.said])
    assert sorted(one.target for one in answers) == hosts
    assert len(set(line.times(NdpPacket))) == len(hosts), "not all at once when the first is due"
