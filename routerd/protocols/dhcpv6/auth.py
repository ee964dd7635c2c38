"""Who may order a client to renew: Reconfigure with the key that came with a Reply (RFC 9915 §20.4, RKAP). No other
authentication protocol is spoken, and options of others are passed over (V6-10, V6-43)."""

from __future__ import annotations

import hmac

import attrs

from routerd.protocols.dhcpv6.message import Message
from routerd.protocols.dhcpv6.options import OptionCode
from routerd.protocols.malformed import Malformed

# §20.4: protocol 3 (reconfiguration key), algorithm 1 (HMAC-MD5), RDM 0 (monotonic counter)
_HEADER = b"\x03\x01\x00"
_KEY, _DIGEST = 1, 2
_LENGTH = 3 + 8 + 1 + 16


@attrs.frozen
class Key:
    """The key shared with one server. Never shown; it outlives us in a file that nobody else may read (C16)."""

    server_id: bytes
    key: bytes = attrs.field(repr=False)


def read_key(reply: Message) -> tuple[Key, int] | None:
    """The key in a Reply and the replay counter beside it; None: there is none."""
    server_id, value = reply.first(OptionCode.SERVER_ID), _ours(reply)
    if server_id is None or value is None or value[11] != _KEY:
        return None
    return Key(server_id, value[12:]), _replay(value)


def verify(reconfigure: Message, key: Key | None, replay: int) -> int | Malformed:
    """Check a Reconfigure against the key; its replay counter, which must be above `replay`, the last one seen."""
    value = _ours(reconfigure)
    if key is None or value is None or value[11] != _DIGEST or reconfigure.first(OptionCode.SERVER_ID) != key.server_id:
        return Malformed("unauthenticated")
    signed = _signed(reconfigure.opaque, value)
    if signed is None or not hmac.compare_digest(hmac.digest(key.key, signed, "md5"), value[12:]):
        return Malformed("unauthenticated")
    counter = _replay(value)
    return counter if counter > replay else Malformed("replayed")


def sign(octets: bytes, key: bytes) -> bytes:
    """A message of which the last 16 octets of its option 11 are zeros, with its digest in their place (§20.4.2)."""
    at = octets.index(OptionCode.AUTHENTICATION.to_bytes(2, "big") + _LENGTH.to_bytes(2, "big") + _HEADER) + 4 + 12
    return octets[:at] + hmac.digest(key, octets, "md5") + octets[at + 16 :]


def option_value(replay: int, kind: int, octets: bytes) -> bytes:
    """The value of an option 11 of this protocol: `kind` 1 with a key, 2 with a digest."""
    return _HEADER + replay.to_bytes(8, "big") + bytes((kind,)) + octets


def _ours(message: Message) -> bytes | None:
    """The first option 11 of this protocol."""
    return next((v for v in message.every(OptionCode.AUTHENTICATION) if len(v) == _LENGTH and v[:3] == _HEADER), None)


def _replay(value: bytes) -> int:
    return int.from_bytes(value[3:11], "big")


def _signed(octets: bytes, value: bytes) -> bytes | None:
    """What the digest is computed over: the message with the digest itself zeroed."""
    at = octets.find(OptionCode.AUTHENTICATION.to_bytes(2, "big") + _LENGTH.to_bytes(2, "big") + value)
    if at < 0:
        return None
    digest = at + 4 + 12
    return octets[:digest] + bytes(16) + octets[digest + 16 :]
