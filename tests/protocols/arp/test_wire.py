"""ARP as octets: the RFC's layout, one violation at a time, and any octets."""

from __future__ import annotations

from ipaddress import IPv4Address

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.protocols.arp import wire
from routerd.protocols.arp.packet import ZERO_MAC, ArpOp, ArpPacket
from routerd.protocols.malformed import Malformed

MAC = bytes.fromhex("020000000001")
PROBE = ArpPacket(ArpOp.REQUEST, MAC, IPv4Address("0.0.0.0"), ZERO_MAC, IPv4Address("192.0.2.10"))
PROBE_OCTETS = bytes.fromhex("0001 0800 06 04 0001 020000000001 00000000 000000000000 c000020a")


def test_octets_of_a_probe() -> None:
    assert wire.encode(PROBE) == PROBE_OCTETS


@pytest.mark.req("ARP-6")
def test_a_sound_packet_with_and_without_padding() -> None:
    assert wire.decode(PROBE_OCTETS) == PROBE
    assert wire.decode(PROBE_OCTETS + bytes(18)) == PROBE


@pytest.mark.req("ARP-6", "breaks")
@pytest.mark.parametrize(
    ("at", "octets", "reason"),
    [
        (0, "0006", "bad-htype"),
        (0, "0000", "bad-htype"),
        (2, "0806", "bad-ptype"),
        (2, "86dd", "bad-ptype"),
        (4, "00", "bad-hlen"),
        (4, "08", "bad-hlen"),
        (5, "00", "bad-plen"),
        (5, "10", "bad-plen"),
        (6, "0000", "bad-op"),
        (6, "0003", "bad-op"),
    ],
)
def test_one_violation(at: int, octets: str, reason: str) -> None:
    spoilt = bytearray(PROBE_OCTETS)
    spoilt[at : at + len(octets) // 2] = bytes.fromhex(octets)
    assert wire.decode(bytes(spoilt)) == Malformed(reason)


@pytest.mark.req("ARP-6", "breaks")
def test_every_shorter_packet_is_refused() -> None:
    for length in range(len(PROBE_OCTETS)):
        assert wire.decode(PROBE_OCTETS[:length]) == Malformed("short")


@pytest.mark.req("ARP-6")
def test_frames() -> None:
    octets = wire.pack_frame(PROBE, source_mac=MAC, target_mac=b"\xff" * 6)
    assert octets == b"\xff" * 6 + MAC + b"\x08\6" + PROBE_OCTETS
    assert wire.unpack_frame(octets.ljust(60, b"\0")) == PROBE
    assert wire.unpack_frame(octets[:12] + b"\x81\0\xe0\0" + octets[12:]) == PROBE  # a priority tag


@pytest.mark.req("ARP-6", "breaks")
@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (bytes(13), "short-frame"),
        (bytes(12) + b"\x08\0" + PROBE_OCTETS, "wrong-ethertype"),
        (bytes(12) + b"\x81\0\0\1\x08\6" + PROBE_OCTETS, "other-vlan"),
        (bytes(12) + b"\x81\0", "wrong-ethertype"),
        (bytes(12) + b"\x81\0\0\0\x08", "wrong-ethertype"),
        (bytes(12) + b"\x81\0\0\0\x08\6", "short"),
        (bytes(12) + b"\x08\6" + PROBE_OCTETS[:-1], "short"),
    ],
)
def test_a_frame_that_is_none(octets: bytes, reason: str) -> None:
    assert wire.unpack_frame(octets) == Malformed(reason)


@pytest.mark.parametrize("field", ["sender_mac", "target_mac"])
def test_an_address_of_another_size_is_our_own_fault(field: str) -> None:
    with pytest.raises(ValueError, match="six octets"):
        wire.encode(attrs.evolve(PROBE, **{field: bytes(5)}))


addresses = st.builds(IPv4Address, st.integers(0, 2**32 - 1))
macs = st.binary(min_size=6, max_size=6)


@pytest.mark.req("C6")
@given(st.builds(ArpPacket, st.sampled_from(ArpOp), macs, addresses, macs, addresses))
def test_what_was_encoded_decodes_to_itself(packet: ArpPacket) -> None:
    assert wire.decode(wire.encode(packet)) == packet


@pytest.mark.req("C6", "breaks")
@given(st.binary(max_size=40) | st.binary(max_size=30).map(lambda tail: PROBE_OCTETS[:6] + tail))
def test_any_octets_are_a_packet_or_a_reason(octets: bytes) -> None:
    packet = wire.decode(octets)
    assert isinstance(packet, Malformed) or wire.encode(packet) == octets[:28]
