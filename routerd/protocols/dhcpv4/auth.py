"""Who may order a renewal: FORCERENEW with the nonce that came with the lease (RFC 3203, RFC 6704)."""

from __future__ import annotations

import hmac

import attrs

from routerd.protocols.dhcpv4.message import Message
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.malformed import Malformed

# RFC 6704 §3.1: protocol 3 (reconfigure key), algorithm 1 (HMAC-MD5), RDM 0 (monotonic counter)
_HEADER = b"\x03\x01\x00"
_NONCE = 1
_DIGEST = 2
_LENGTH = 3 + 8 + 1 + 16
_HOPS = 3
_GIADDR = slice(24, 28)


@attrs.frozen
class Nonce:
    """The shared key of one lease, and the last replay counter seen. Never shown (C16)."""

    key: bytes = attrs.field(repr=False)
    replay: int


def read_nonce(ack: Message) -> Nonce | None:
    """The nonce that a server sent with its ACK; None: it sent none."""
    value = ack.options.get(Option.AUTHENTICATION, b"")
    if len(value) != _LENGTH or not value.startswith(_HEADER) or value[11] != _NONCE:
        return None
    return Nonce(value[12:], int.from_bytes(value[3:11], "big"))


def verify(message: Message, nonce: Nonce | None) -> Nonce | Malformed:
    """Check a FORCERENEW against the lease's nonce; return the nonce to check the next one with."""
    value = message.options.get(Option.AUTHENTICATION, b"")
    if nonce is None or len(value) != _LENGTH or not value.startswith(_HEADER) or value[11] != _DIGEST:
        return Malformed("unauthenticated")
    replay = int.from_bytes(value[3:11], "big")
    if replay <= nonce.replay:
        return Malformed("replayed")
    signed = _signed(message.opaque, value)
    if signed is None or not hmac.compare_digest(hmac.digest(nonce.key, signed, "md5"), value[12:]):
        return Malformed("unauthenticated")
    return Nonce(nonce.key, replay)


def _signed(data: bytes, value: bytes) -> bytes | None:
    """What the digest is computed over: the message with hops, giaddr and the digest itself zeroed (RFC 3118 §5.2)."""
    at = data.find(bytes((Option.AUTHENTICATION, _LENGTH)) + value)
    if at < 0:
        return None
    signed = bytearray(data)
    signed[_HOPS] = 0
    signed[_GIADDR] = bytes(4)
    digest = at + 2 + 12
    signed[digest : digest + 16] = bytes(16)
    return bytes(signed)
