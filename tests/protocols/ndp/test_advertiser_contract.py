"""The contract of machines, for the advertiser."""

import random
from ipaddress import IPv6Address, IPv6Network
from typing import Any

from hypothesis import strategies as st

from routerd.protocols.machine import Start, Stop
from routerd.protocols.ndp.advertiser import Advertiser, Announce, Remember, Silent
from routerd.protocols.ndp.announcement import Announcement, LanPrefix
from routerd.protocols.ndp.link import LinkDown, LinkUp
from routerd.protocols.ndp.message import (
    ALL_NODES,
    NdpPacket,
    NeighborSolicitation,
    Prefix,
    RouterAdvertisement,
    RouterSolicitation,
)
from routerd.protocols.ndp.told import Told
from tests.protocols.contract import THOROUGH, Contract

SOURCES = [IPv6Address(text) for text in ("::", "fe80::1", "fe80::2", "fe80::3", "2001:db8::1")]
PREFIXES = [IPv6Network(f"2001:db8:{n}::/64") for n in range(3)]
MAC = bytes.fromhex("02005e105301")
MESSAGES = st.one_of(
    st.builds(RouterSolicitation, st.sampled_from([None, MAC])),
    st.builds(RouterAdvertisement, lifetime=st.sampled_from([0, 1800]), managed=st.booleans()),
    st.builds(NeighborSolicitation, st.sampled_from(SOURCES)),
)
PACKETS = st.builds(
    NdpPacket, MESSAGES, st.sampled_from(SOURCES), st.just(ALL_NODES), st.sampled_from([255, 255, 255, 64])
)
UNTIL = st.none() | st.floats(0, 2e6)
ANNOUNCEMENTS = st.builds(
    Announcement,
    prefixes=st.lists(
        st.builds(LanPrefix, st.sampled_from(PREFIXES), UNTIL, UNTIL), max_size=2, unique_by=lambda p: p.prefix
    ).map(tuple),
    former=st.lists(st.tuples(st.sampled_from(PREFIXES), st.floats(0, 2e6)), max_size=2).map(tuple),
)
EVENTS = st.one_of(
    PACKETS,
    PACKETS,
    st.builds(Announce, ANNOUNCEMENTS),
    st.sampled_from([Start(), Start(), Stop(), Stop(True), LinkUp(SOURCES[1], MAC), LinkDown()]),
)


class AdvertiserContract(Contract):
    packets = (NdpPacket,)

    def make(self, seed: int) -> Advertiser:
        remembered = Told({PREFIXES[0]: None}) if seed % 2 else None
        return Advertiser(random.Random(seed), remembered=remembered)

    def draw_event(self, data: st.DataObject) -> object:
        return data.draw(EVENTS)

    def rests(self) -> bool:
        return isinstance(self.machine.state, Silent)

    def saw(self, event: object, outputs: list[Any]) -> None:
        """Hosts are told of no prefix that is not remembered; and of none for longer than it lasts."""
        for output in outputs:
            if isinstance(output, Remember):
                self.remembered = set(output.told.prefixes)
            elif isinstance(output, NdpPacket):
                assert isinstance(output.message, RouterAdvertisement)
                assert {one.prefix for one in output.message.prefixes} <= self.remembered
                assert all(self.lasts(one) for one in output.message.prefixes)

    def lasts(self, told: Prefix) -> bool:
        current = {one.prefix: one.valid_until for one in self.machine._in_force.prefixes}
        until = self.machine._told.prefixes.get(told.prefix) or current.get(told.prefix)
        return told.preferred <= told.valid <= 7200 and (until is None or self.now + told.valid <= until + 1e-6)


TestAdvertiser = AdvertiserContract.TestCase
TestAdvertiser.settings = THOROUGH
