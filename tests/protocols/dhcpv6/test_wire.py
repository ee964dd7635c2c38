"""Messages as octets and back: total, and level by level (V6-6, C6)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from routerd.protocols.dhcpv6 import answer, wire
from routerd.protocols.dhcpv6.message import Message, MessageType, Option
from routerd.protocols.malformed import Malformed
from tests.protocols.dhcpv6.octets import CLIENT, MESSAGES, OTHER, REPLY, SERVER, message, option


def decoded(data: bytes) -> Message:
    found = wire.decode(data)
    assert isinstance(found, Message)
    return found


@pytest.mark.req("C6")
@given(MESSAGES)
def test_what_is_written_is_read(value: Message) -> None:
    assert decoded(wire.encode(value)) == value


@pytest.mark.req("C6", "breaks")
@given(st.binary(max_size=300) | st.builds(lambda kind, tail: bytes((kind,)) + tail, st.integers(1, 11), st.binary()))
@example(REPLY)
def test_any_octets_are_a_message_or_a_reason(data: bytes) -> None:
    found = wire.decode(data)
    if isinstance(found, Malformed):
        assert found.reason
        return
    again = decoded(wire.encode(found))
    assert again == found
    answer.read(found)  # nor does anything inside raise


@pytest.mark.req("C6", "breaks")
@given(st.data())
def test_a_reply_with_any_octets_changed_is_read_without_an_exception(data: st.DataObject) -> None:
    octets = bytearray(REPLY)
    for at in data.draw(st.lists(st.integers(0, len(octets) - 1), min_size=1, max_size=8)):
        octets[at] = data.draw(st.integers(0, 255))
    found = wire.decode(bytes(octets))
    if isinstance(found, Message):
        answer.read(found)


@pytest.mark.req("V6-6", "breaks")
@pytest.mark.parametrize("length", range(len(REPLY)))
def test_truncated_at_every_octet(length: int) -> None:
    found = wire.decode(REPLY[:length])
    if length < 4:
        assert found == Malformed("short")
        return
    assert isinstance(found, Message)
    whole = decoded(REPLY).options
    assert found.options == whole[: len(found.options)], "what is whole is kept, what is cut is not there"
    assert len(found.options) < len(whole)
    answer.read(found)


@pytest.mark.req("V6-6", "breaks")
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "short"),
        (b"\7\0\0", "short"),
        (bytes(70000), "long"),
        (message(0), "bad-message-type"),
        (message(12), "relayed"),
        (message(13), "relayed"),
        (message(14), "bad-message-type"),
        (message(255), "bad-message-type"),
        (message(7, option(1, CLIENT), option(1, CLIENT)), "two-client-ids"),
        (message(7, option(2, SERVER), option(99), option(2, OTHER)), "two-server-ids"),
    ],
)
def test_what_is_no_message(data: bytes, reason: str) -> None:
    assert wire.decode(data) == Malformed(reason)


@pytest.mark.req("V6-6")
def test_unknown_options_are_kept_as_they_came() -> None:
    found = decoded(message(7, option(999, b"abc"), option(999), option(65535, b"\0")))
    assert found.options == (Option(999, b"abc"), Option(999, b""), Option(65535, b"\0"))
    assert found.every(999) == (b"abc", b"")
    assert found.first(1) is None


@pytest.mark.req("V6-6", "breaks")
@pytest.mark.parametrize(("length", "kept"), [(0, False), (1, True), (130, True), (131, False)])
def test_a_duid_of_no_possible_length_is_not_there(length: int, kept: bool) -> None:
    found = decoded(message(7, option(1, bytes(length)), option(2, SERVER)))
    assert (found.first(1) is not None) is kept
    assert found.first(2) == SERVER


@pytest.mark.req("V6-6", "breaks")
def test_an_option_that_runs_past_the_end_is_dropped_alone() -> None:
    found = decoded(message(7, option(1, CLIENT), option(2, SERVER)) + b"\0\x17\0\x40abc")
    assert [code for code, _ in found.options] == [1, 2]


def test_the_header_is_written_as_the_rfc_has_it() -> None:
    assert wire.encode(Message(MessageType.SOLICIT, 0x0A0B0C, (Option(8, b"\0\0"),))) == bytes.fromhex(
        "01 0a0b0c 0008 0002 0000"
    )


@pytest.mark.parametrize(
    "bad",
    [
        Message(MessageType.SOLICIT, 2**24),
        Message(MessageType.SOLICIT, -1),
        Message(MessageType.SOLICIT, 1, (Option(70000, b""),)),
        Message(MessageType.SOLICIT, 1, (Option(1, bytes(65536)),)),
        Message(MessageType.SOLICIT, 1, (Option(1, bytes(40000)), Option(2, bytes(40000)))),
    ],
)
def test_what_no_message_can_hold_is_our_own_fault(bad: Message) -> None:
    with pytest.raises(ValueError, match=r"24 bits|cannot be written|no datagram"):
        wire.encode(bad)


@pytest.mark.req("C16")
def test_keys_are_never_shown() -> None:
    shown = repr(Message(MessageType.REPLY, 1, (Option(11, b"secret"), Option(23, b"public"))))
    assert "secret" not in shown
    assert "public" in shown
