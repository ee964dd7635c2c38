"""The codec: shared vectors, one violation at a time, and what must hold for any octets."""

from __future__ import annotations

import sys
from collections.abc import Callable
from ipaddress import IPv4Address
from types import FrameType
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.protocols.dhcpv4 import wire
from routerd.protocols.dhcpv4.message import Message, MessageType, Op
from routerd.protocols.malformed import Malformed
from tests.protocols.dhcpv4.octets import ACK_OPTIONS, MAC, Octets, ack
from tests.vectors import cases

SOUND = Octets()


@pytest.mark.req("V4-28")
def test_every_field_is_read() -> None:
    octets = Octets(
        secs=7,
        flags=0x8000,
        ciaddr=bytes((192, 0, 2, 3)),
        siaddr=bytes((192, 0, 2, 4)),
        giaddr=bytes((192, 0, 2, 5)),
    )
    message = wire.decode(bytes(octets))
    assert message == Message(
        op=Op.BOOTREPLY,
        type=MessageType.ACK,
        xid=0x12345678,
        chaddr=MAC,
        secs=7,
        broadcast=True,
        ciaddr=IPv4Address("192.0.2.3"),
        yiaddr=IPv4Address("192.0.2.10"),
        siaddr=IPv4Address("192.0.2.4"),
        giaddr=IPv4Address("192.0.2.5"),
        options={54: b"\xc0\0\2\1", 51: b"\0\0\x0e\x10", 1: b"\xff\xff\xff\0", 3: b"\xc0\0\2\1"},
    )
    assert message.opaque == bytes(octets)


@pytest.mark.req("V4-28", "breaks")
@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (attrs.evolve(SOUND, op=0), "bad-op"),
        (attrs.evolve(SOUND, op=3), "bad-op"),
        (attrs.evolve(SOUND, htype=0), "bad-htype"),
        (attrs.evolve(SOUND, htype=6), "bad-htype"),
        (attrs.evolve(SOUND, hlen=0), "bad-hlen"),
        (attrs.evolve(SOUND, hlen=5), "bad-hlen"),
        (attrs.evolve(SOUND, hlen=7), "bad-hlen"),
        (attrs.evolve(SOUND, hlen=16), "bad-hlen"),
        (attrs.evolve(SOUND, hlen=17), "bad-hlen"),
        (attrs.evolve(SOUND, hlen=255), "bad-hlen"),
        (attrs.evolve(SOUND, cookie=b"\x63\x82\x53\x62"), "bad-cookie"),
        (attrs.evolve(SOUND, cookie=bytes(4)), "bad-cookie"),
    ],
)
def test_one_violation_in_the_header(octets: Octets, reason: str) -> None:
    assert wire.decode(bytes(octets)) == Malformed(reason)


@pytest.mark.parametrize("case", cases("dhcpv4/options"))
def test_options_of_the_shared_vectors(case: dict[str, Any]) -> None:
    fields = {name: bytes.fromhex(case.get(name, "")) for name in ("options", "file", "sname")}
    message = wire.decode(bytes(attrs.evolve(SOUND, **fields)))
    if "dropped" in case:
        assert message == Malformed(case["dropped"])
    else:
        assert isinstance(message, Message)
        assert message.options == {int(code): bytes.fromhex(value) for code, value in case["expect"].items()}


def test_a_request_needs_no_server_identifier_to_lose_its_tail() -> None:
    octets = attrs.evolve(SOUND, op=1, options=bytes.fromhex("350101 3705 0103"))
    message = wire.decode(bytes(octets))
    assert isinstance(message, Message)
    assert (message.op, message.type, message.options) == (Op.BOOTREQUEST, MessageType.DISCOVER, {})


@pytest.mark.req("C6", "breaks")
@pytest.mark.parametrize("length", [0, 1, 43, 235, 236, 239])
def test_a_message_without_room_for_a_header_and_a_cookie(length: int) -> None:
    assert wire.decode(bytes(SOUND)[:length]) == Malformed("short")
    assert wire.decode(bytes(SOUND)[:240]) == Malformed("no-message-type")


@pytest.mark.req("V4-35")
def test_a_datagram_larger_than_an_ethernet_frame() -> None:
    options = bytes.fromhex("350105 3604c0000201 330400000e10") + (b"\x79\xff" + bytes(255)) * 20 + b"\xff"
    message = wire.decode(bytes(attrs.evolve(SOUND, options=options)))
    assert isinstance(message, Message)
    assert len(message.options[121]) == 5100


@pytest.mark.req("V4-35", "breaks")
@pytest.mark.req("C6", "breaks")
def test_a_datagram_larger_than_any() -> None:
    longest = bytes(SOUND).ljust(65535, b"\0")
    assert isinstance(wire.decode(longest), Message)
    assert wire.decode(longest + b"\0") == Malformed("long")


@pytest.mark.req("V4-7")
def test_octets_of_a_discover() -> None:
    message = Message(
        Op.BOOTREQUEST,
        MessageType.DISCOVER,
        0xDEADBEEF,
        MAC,
        secs=3,
        options={61: b"\x01" + MAC, 57: (1472).to_bytes(2, "big"), 55: bytes((1, 3, 6)), 12: b"gate"},
    )
    octets = wire.encode(message)
    options = "350101 0c0467617465 3703010306 390205c0 3d0701020000000001 ff"
    assert octets[:240] == bytes(
        Octets(op=1, xid=0xDEADBEEF, secs=3, yiaddr=bytes(4), options=b"")
    )  # htype 1, hlen 6, hops 0, no flag, no address, no name, the cookie
    assert octets[240:] == bytes.fromhex(options).ljust(60, b"\0")
    assert len(octets) == 300


@pytest.mark.req("V4-7")
def test_the_order_in_which_options_were_put_in_does_not_show() -> None:
    options = {61: b"abc", 12: b"gate", 55: b"\1\3"}
    backwards = dict(reversed(options.items()))
    assert wire.encode(ack(options)) == wire.encode(ack(backwards))


@pytest.mark.req("V4-7")
def test_the_broadcast_flag_and_a_type_for_every_kind() -> None:
    for kind in MessageType:
        octets = wire.encode(attrs.evolve(ack(), type=kind, broadcast=True))
        assert octets[10:12] == b"\x80\0"
        assert octets[240:243] == bytes((53, 1, kind))


@pytest.mark.req("V4-16")
@pytest.mark.parametrize("length", [255, 256, 510, 511, 1000])
def test_a_long_option_is_sent_in_pieces(length: int) -> None:
    value = bytes(range(256)) * 4
    message = ack({125: value[:length]})
    octets = wire.encode(message, limit=2000)
    assert wire.decode(octets) == message
    assert octets.count(b"\x7d\xff" + value[:255]) == 1


@pytest.mark.req("V4-7", "breaks")
def test_what_we_may_not_send_is_our_own_fault() -> None:
    assert len(wire.encode(ack({125: bytes(1194)}))) == 1472  # an Ethernet frame's worth, unless told otherwise
    with pytest.raises(ValueError, match="1473 octets"):
        wire.encode(ack({125: bytes(1195)}))
    full = ack({125: bytes(1140)})
    size = len(wire.encode(full, limit=10**6))
    assert len(wire.encode(full, limit=size)) == size
    with pytest.raises(ValueError, match=f"{size} octets does not fit into {size - 1}"):
        wire.encode(full, limit=size - 1)
    for spoilt in (
        ack({0: b""}),
        ack({52: b"\1"}),
        ack({53: b"\5"}),
        ack({255: b""}),
        ack({256: b""}),
        attrs.evolve(ack(), chaddr=MAC + b"\0"),
        attrs.evolve(ack(), xid=1 << 32),
        attrs.evolve(ack(), secs=65536),
    ):
        with pytest.raises(ValueError, match=r".+"):
            wire.encode(spoilt)


@pytest.mark.req("V4-37")
def test_names_in_the_header_are_not_part_of_a_message() -> None:
    named = attrs.evolve(SOUND, sname=b"tftp.example", file=b"/boot/kernel")
    assert wire.decode(bytes(named)) == wire.decode(bytes(SOUND))


addresses = st.builds(IPv4Address, st.integers(0, 2**32 - 1))
options = st.dictionaries(
    st.integers(1, 254).filter(lambda code: code not in (52, 53, 54)), st.binary(max_size=600), max_size=12
)
messages = st.builds(
    Message,
    op=st.sampled_from(Op),
    type=st.sampled_from(MessageType),
    xid=st.integers(0, 2**32 - 1),
    chaddr=st.binary(min_size=6, max_size=6),
    secs=st.integers(0, 65535),
    broadcast=st.booleans(),
    ciaddr=addresses,
    yiaddr=addresses,
    siaddr=addresses,
    giaddr=addresses,
    options=st.builds(
        lambda rest, server: rest | ({54: server} if server else {}),
        options,
        st.none() | st.binary(min_size=4, max_size=4),
    ),
)
fragments = st.lists(
    st.one_of(
        st.builds(lambda code, value: bytes((code, len(value))) + value, st.integers(0, 255), st.binary(max_size=40)),
        st.sampled_from(
            [b"\x35\1\5", b"\x36\4\xc0\0\2\1", b"\x33\4\0\0\x0e\x10", b"\x34\1\3", b"\0", b"\xff", b"\x35"]
        ),
    ),
    max_size=30,
).map(b"".join)
plausible = st.builds(
    lambda op, sname, file, tail: bytes(Octets(op=op, sname=sname, file=file, options=tail)),
    st.sampled_from([1, 2]),
    fragments,
    fragments,
    fragments,
)


@pytest.mark.req("C6")
@given(messages)
def test_what_was_encoded_decodes_to_itself(message: Message) -> None:
    assert wire.decode(wire.encode(message, limit=wire.MAX_LENGTH)) == message


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A plausible message with some octets changed, and cut somewhere."""
    octets = bytearray(draw(plausible))
    for at in draw(st.lists(st.integers(0, len(octets) - 1), max_size=4)):
        octets[at] = draw(st.integers(0, 255))
    return bytes(octets[: draw(st.integers(0, len(octets)))])


@pytest.mark.req("C6", "breaks")
@given(st.binary(max_size=400) | plausible | spoilt())
def test_any_octets_are_a_message_or_a_reason(octets: bytes) -> None:
    message = wire.decode(octets)
    if isinstance(message, Malformed):
        assert message.reason in REASONS
        return
    assert not message.options.keys() & {0, 52, 53, 255}
    again = wire.encode(message, limit=wire.MAX_LENGTH)
    read_back = wire.decode(again)
    assert read_back == message
    assert isinstance(read_back, Message)
    assert wire.encode(read_back, limit=wire.MAX_LENGTH) == again


REASONS = {"short", "long", "bad-op", "bad-htype", "bad-hlen", "bad-cookie", "bad-overload", "overrun"} | {
    "no-message-type",
    "bad-message-type",
    "bad-server-id",
}


def lines_run(function: Callable[[], object]) -> int:
    """How many lines of Python the call runs: a clock that never wavers."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.req("C6", "breaks")
@pytest.mark.parametrize("unit", [b"\0", b"\x79\0", b"\x79\1a", b"\x36\4\xc0\0\2\1", b"\x34\1\1", b"\x77\2\xc0\0"])
def test_twice_the_octets_are_at_most_twice_the_work(unit: bytes) -> None:
    def octets(size: int) -> bytes:
        return bytes(attrs.evolve(SOUND, options=ACK_OPTIONS[:-1] + unit * (size // len(unit))))

    small, large = octets(8000), octets(16000)
    assert lines_run(lambda: wire.decode(large)) <= 2 * lines_run(lambda: wire.decode(small))
