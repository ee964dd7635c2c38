"""The contract of machines, for conflict detection."""

import random
from ipaddress import IPv4Address
from typing import Any

from hypothesis import strategies as st

from routerd.protocols.arp.conflict import Clear, Contested, Defending, Detector, Idle
from routerd.protocols.arp.packet import ArpOp, ArpPacket
from routerd.protocols.machine import Start, Stop
from tests.protocols.contract import THOROUGH, Contract

ADDRESSES = [IPv4Address("0.0.0.0"), IPv4Address("192.0.2.10"), IPv4Address("192.0.2.1")]
MACS = [bytes.fromhex("020000000001"), bytes.fromhex("0200000000bb")]
PACKETS = st.builds(
    ArpPacket,
    st.sampled_from(ArpOp),
    st.sampled_from(MACS),
    st.sampled_from(ADDRESSES),
    st.sampled_from(MACS),
    st.sampled_from(ADDRESSES),
)


class DetectorContract(Contract):
    packets = (ArpPacket,)

    def make(self, seed: int) -> Detector:
        policy = "release" if seed % 2 else "defend"
        return Detector(ADDRESSES[1], MACS[0], random.Random(seed), probe=seed % 3 != 0, policy=policy)

    def draw_event(self, data: st.DataObject) -> object:
        return data.draw(st.one_of(PACKETS, PACKETS, PACKETS, st.just(Start()), st.just(Stop())))

    def rests(self) -> bool:
        return isinstance(self.machine.state, Idle | Defending)

    def saw(self, event: object, outputs: list[Any]) -> None:
        for output in outputs:
            match output:
                case Contested():
                    assert isinstance(self.machine.state, Idle)
                    assert isinstance(event, ArpPacket)
                    assert event.sender_mac != MACS[0]
                case Clear():
                    assert not isinstance(event, ArpPacket)
                case ArpPacket():
                    assert output.sender_mac == MACS[0]
                    assert output.target_ip == ADDRESSES[1]


TestDetector = DetectorContract.TestCase
TestDetector.settings = THOROUGH
