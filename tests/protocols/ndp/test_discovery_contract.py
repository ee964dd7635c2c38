"""The contract of machines, for router discovery."""

import random
from ipaddress import IPv6Address, IPv6Network
from typing import Any

from hypothesis import strategies as st

from routerd.protocols.machine import Start, Stop
from routerd.protocols.ndp.discovery import Discovery, Heard, Silent
from routerd.protocols.ndp.link import LinkDown, LinkUp
from routerd.protocols.ndp.message import (
    ALL_NODES,
    INFINITE,
    NameServers,
    NdpPacket,
    NeighborAdvertisement,
    Prefix,
    RouterAdvertisement,
    RouterSolicitation,
)
from tests.protocols.contract import THOROUGH, Contract

SOURCES = [IPv6Address(text) for text in ("fe80::1", "fe80::2", "fe80::3", "2001:db8::1")]
MACS = [None, bytes.fromhex("02005e105301"), bytes.fromhex("02005e105302")]
SECONDS = st.sampled_from([0, 1, 60, 7199, 7201, 86400, INFINITE])
PREFIXES = st.builds(
    lambda n, a, b, on_link, autonomous: Prefix(
        IPv6Network(f"2001:db8:{n}::/64"), max(a, b), min(a, b), on_link, autonomous
    ),
    *(st.integers(0, 3), SECONDS, SECONDS, st.booleans(), st.booleans()),
)
ADVERTISEMENTS = st.builds(
    RouterAdvertisement,
    lifetime=st.sampled_from([0, 1, 1800, 9000]),
    link_address=st.sampled_from(MACS),
    prefixes=st.lists(PREFIXES, max_size=2).map(tuple),
    name_servers=st.lists(st.builds(NameServers, st.just((IPv6Address("2001:db8::53"),)), SECONDS), max_size=1).map(
        tuple
    ),
)
ANSWERS = st.builds(
    NeighborAdvertisement, st.sampled_from(SOURCES), st.booleans(), st.booleans(), st.booleans(), st.sampled_from(MACS)
)
PACKETS = st.builds(
    NdpPacket,
    st.one_of(ADVERTISEMENTS, ADVERTISEMENTS, ANSWERS, st.just(RouterSolicitation())),
    st.sampled_from(SOURCES),
    st.just(ALL_NODES),
    st.sampled_from([255, 255, 255, 64]),
)
LINK = st.sampled_from([LinkUp(IPv6Address("fe80::99"), b"\x02" * 6), LinkDown()])
EVENTS = st.one_of(PACKETS, PACKETS, PACKETS, LINK, st.sampled_from([Start(), Start(), Start(), Stop()]))


class DiscoveryContract(Contract):
    packets = (NdpPacket,)

    def make(self, seed: int) -> Discovery:
        return Discovery(random.Random(seed))

    def draw_event(self, data: st.DataObject) -> object:
        return data.draw(EVENTS)

    def rests(self) -> bool:
        return isinstance(self.machine.state, Silent)

    def saw(self, event: object, outputs: list[Any]) -> None:
        for output in outputs:
            if isinstance(output, Heard):
                known = output.learned
                assert known.at(self.now) == known, "nothing that is over"
                assert all(router.address.is_link_local for router in known.routers.values())


TestDiscovery = DiscoveryContract.TestCase
TestDiscovery.settings = THOROUGH
