"""Frames of the raw path: what is sent, one violation at a time, and any octets."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.protocols.dhcpv4 import frame
from routerd.protocols.dhcpv4.frame import Encapsulated
from routerd.protocols.malformed import Malformed

SERVER_MAC, CLIENT_MAC = bytes.fromhex("02000000000a"), bytes.fromhex("020000000001")
SERVER, CLIENT = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.10")
PAYLOAD = bytes(range(256)) + b"odd"
RECEIVED = Encapsulated(PAYLOAD, SERVER, 67, CLIENT)


def summed(data: bytes) -> int:
    """RFC 1071 as its text has it: add the words, add the carries, complement."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@attrs.frozen
class Octets:
    """A frame from server to client, field by field; None: as it should be."""

    ethertype: bytes = b"\x08\0"
    first: int = 0x45
    total: int | None = None
    fragment: int = 0
    protocol: int = 17
    ip_checksum: int | None = None
    ip_options: bytes = b""
    source_port: int = 67
    target_port: int = 68
    udp_length: int | None = None
    udp_checksum: int | None = None
    payload: bytes = PAYLOAD
    padding: bytes = b""

    def __bytes__(self) -> bytes:
        udp_length = 8 + len(self.payload) if self.udp_length is None else self.udp_length
        ports = struct.pack("!HH", self.source_port, self.target_port)
        pseudo = SERVER.packed + CLIENT.packed + struct.pack("!HH", 17, udp_length)
        udp = ports + struct.pack("!HH", udp_length, 0) + self.payload
        udp_checksum = summed(pseudo + udp[:udp_length]) or 0xFFFF
        udp_checksum = udp_checksum if self.udp_checksum is None else self.udp_checksum
        udp = udp[:6] + struct.pack("!H", udp_checksum) + udp[8:]
        total = 20 + len(self.ip_options) + len(udp) if self.total is None else self.total
        ip = struct.pack("!BBHHHBB", self.first, 0, total, 1, self.fragment, 64, self.protocol)
        addresses = SERVER.packed + CLIENT.packed + self.ip_options
        ip_checksum = summed(ip + addresses) if self.ip_checksum is None else self.ip_checksum
        ip += struct.pack("!H", ip_checksum) + addresses
        return CLIENT_MAC + SERVER_MAC + self.ethertype + ip + udp + self.padding


@pytest.mark.req("V4-27")
@pytest.mark.parametrize(
    "octets",
    [
        Octets(),
        Octets(padding=bytes(40)),
        Octets(padding=b"\xff"),
        Octets(first=0x46, ip_options=b"\x94\4\0\0"),
        Octets(first=0x4F, ip_options=bytes(40)),
        Octets(fragment=0x4000),
        Octets(udp_checksum=0),
        Octets(ethertype=b"\x81\0\xe0\0\x08\0"),
    ],
    ids=["plain", "padded", "odd padding", "router alert", "longest header", "DF", "no UDP checksum", "priority tag"],
)
def test_a_sound_frame(octets: Octets) -> None:
    assert frame.unpack(bytes(octets), checksum_known_good=False) == RECEIVED


@pytest.mark.req("V4-27")
@pytest.mark.parametrize("port", [1, 67, 68, 40000])
def test_the_source_port_may_be_any(port: int) -> None:
    octets = bytes(Octets(source_port=port))
    assert frame.unpack(octets, checksum_known_good=False) == attrs.evolve(RECEIVED, source_port=port)


@pytest.mark.req("V4-27")
def test_octets_behind_the_datagram_but_inside_the_packet_are_left_out() -> None:
    octets = bytes(Octets(udp_length=8 + 256))
    assert frame.unpack(octets, checksum_known_good=False) == attrs.evolve(RECEIVED, payload=PAYLOAD[:256])


@pytest.mark.req("V4-27", "breaks")
@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (Octets(ethertype=b"\x08\6"), "wrong-ethertype"),
        (Octets(ethertype=b"\x86\xdd"), "wrong-ethertype"),
        (Octets(ethertype=b"\x81\0\0\7\x08\0"), "other-vlan"),
        (Octets(ethertype=b"\x81\0\0\0\x81\0"), "wrong-ethertype"),
        (Octets(first=0x55), "not-ipv4"),
        (Octets(first=0x44), "bad-ip-length"),
        (Octets(first=0x40), "bad-ip-length"),
        (Octets(first=0x4F, payload=b""), "bad-ip-length"),
        (Octets(total=20 + 8 + 259 + 1), "bad-ip-length"),
        (Octets(total=65535), "bad-ip-length"),
        (Octets(total=19), "bad-ip-length"),
        (Octets(total=0), "bad-ip-length"),
        (Octets(total=27), "bad-udp-length"),
        (Octets(ip_checksum=0), "bad-ip-checksum"),
        (Octets(ip_checksum=0x1234), "bad-ip-checksum"),
        (Octets(fragment=0x2000), "fragment"),
        (Octets(fragment=0x0001), "fragment"),
        (Octets(fragment=0x1FFF), "fragment"),
        (Octets(protocol=6), "not-udp"),
        (Octets(target_port=67), "other-port"),
        (Octets(target_port=69), "other-port"),
        (Octets(udp_length=7), "bad-udp-length"),
        (Octets(udp_length=0), "bad-udp-length"),
        (Octets(udp_length=8 + 259 + 1), "bad-udp-length"),
        (Octets(udp_length=8 + 259 + 1, padding=b"\0"), "bad-udp-length"),
        (Octets(udp_checksum=1), "bad-udp-checksum"),
    ],
    ids=str,
)
def test_one_violation(octets: Octets, reason: str) -> None:
    assert frame.unpack(bytes(octets), checksum_known_good=False) == Malformed(reason)


@pytest.mark.req("V4-27", "breaks")
def test_every_shorter_frame_is_refused() -> None:
    octets = bytes(Octets())
    for length in range(len(octets)):
        assert isinstance(frame.unpack(octets[:length], checksum_known_good=True), Malformed)


@pytest.mark.req("V4-27", "breaks")
@pytest.mark.parametrize("total", range(20, 28))
def test_a_packet_too_short_for_udp(total: int) -> None:
    octets = bytes(Octets(total=total))[: 14 + total]
    assert frame.unpack(octets, checksum_known_good=True) == Malformed("bad-udp-length")


@pytest.mark.req("V4-27")
def test_a_checksum_that_the_kernel_vouches_for_is_not_verified() -> None:
    unfilled = Octets(udp_checksum=0x1234)  # what a sender on the same host leaves to a network card that is none
    assert frame.unpack(bytes(unfilled), checksum_known_good=True) == RECEIVED
    assert frame.unpack(bytes(Octets(ip_checksum=1)), checksum_known_good=True) == Malformed("bad-ip-checksum")


@pytest.mark.req("V4-27")
def test_a_server_listens_on_its_own_port() -> None:
    octets = bytes(Octets(source_port=68, target_port=67))
    assert frame.unpack(octets, checksum_known_good=False, port=67) == attrs.evolve(RECEIVED, source_port=68)
    assert frame.unpack(bytes(Octets()), checksum_known_good=False, port=67) == Malformed("other-port")


def packed(payload: bytes = PAYLOAD, **other: Any) -> bytes:
    fields = {
        "source_mac": SERVER_MAC,
        "target_mac": CLIENT_MAC,
        "source": SERVER,
        "target": CLIENT,
        "source_port": 67,
        "target_port": 68,
        "identification": 1,
    }
    return frame.pack(payload, **(fields | other))


@pytest.mark.req("V4-27")
def test_octets_of_a_frame() -> None:
    assert packed() == bytes(Octets())


@pytest.mark.req("C12")
def test_the_code_point_is_in_every_frame() -> None:
    octets = packed(dscp=48)
    assert octets[15] == 48 << 2
    assert frame.unpack(octets, checksum_known_good=False) == RECEIVED


def test_a_computed_checksum_of_zero_is_sent_as_all_ones() -> None:
    plain = packed(b"\0\0")
    (checksum,) = struct.unpack_from("!H", plain, 40)
    octets = packed(struct.pack("!H", checksum))
    assert octets[40:42] == b"\xff\xff"  # RFC 768: zero would say that there is none
    assert frame.unpack(octets, checksum_known_good=False) != Malformed("bad-udp-checksum")


@pytest.mark.parametrize(
    "wrong",
    [
        {"source_mac": b"\0" * 5},
        {"target_mac": b"\0" * 7},
        {"source_port": 65536},
        {"identification": 65536},
        {"dscp": 64},
        {"payload": bytes(65508)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_no_frame_can_hold_is_our_own_fault(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        packed(**wrong)


@pytest.mark.req("V4-35")
def test_the_largest_datagram() -> None:
    payload = bytes(65507)
    assert frame.unpack(packed(payload), checksum_known_good=False) == attrs.evolve(RECEIVED, payload=payload)


@pytest.mark.req("C6")
@given(st.binary(max_size=600), st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 63))
def test_what_was_packed_unpacks_to_itself(payload: bytes, source_port: int, identification: int, dscp: int) -> None:
    octets = packed(payload, source_port=source_port, identification=identification, dscp=dscp)
    assert summed(octets[14:34]) == 0
    received = attrs.evolve(RECEIVED, payload=payload, source_port=source_port)
    assert frame.unpack(octets, checksum_known_good=False) == received


@pytest.mark.req("V4-27", "breaks")
@given(st.integers(14, 14 + 20 + 8 + 259 - 1), st.integers(1, 255))
def test_no_changed_octet_passes_both_checksums(at: int, change: int) -> None:
    octets = bytearray(bytes(Octets()))
    octets[at] ^= change
    if octets[40:42] != b"\0\0":  # a UDP checksum of zero is none
        assert isinstance(frame.unpack(bytes(octets), checksum_known_good=False), Malformed)


@pytest.mark.req("C6", "breaks")
@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda tail: CLIENT_MAC + SERVER_MAC + b"\x08\0\x45" + tail))
def test_any_octets_are_a_payload_or_a_reason(octets: bytes) -> None:
    assert isinstance(frame.unpack(octets, checksum_known_good=True), Encapsulated | Malformed)
