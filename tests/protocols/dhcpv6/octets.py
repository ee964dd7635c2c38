"""Building blocks for tests of the codec: options and messages as octets, written down without it."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

from hypothesis import strategies as st

from routerd.protocols.dhcpv6.association import Association, Grant, IdentityAssociation, Kind, Status
from routerd.protocols.dhcpv6.message import Message, MessageType, Option

CLIENT = bytes.fromhex("0003000102005e000001")
SERVER = bytes.fromhex("0003000102005e000101")
OTHER = bytes.fromhex("0003000102005e000202")


def option(code: int, value: bytes = b"") -> bytes:
    return code.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


def u32(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in numbers)


def message(kind: int, *options: bytes, xid: int = 0x123456) -> bytes:
    return bytes((kind,)) + xid.to_bytes(3, "big") + b"".join(options)


def address(text: str, preferred: int = 100, valid: int = 200, inside: bytes = b"") -> bytes:
    return option(5, IPv6Address(text).packed + u32(preferred, valid) + inside)


def prefix(text: str, preferred: int = 100, valid: int = 200, inside: bytes = b"") -> bytes:
    start, _, length = text.partition("/")
    return option(26, u32(preferred, valid) + bytes((int(length),)) + IPv6Address(start).packed + inside)


def status(code: int, text: bytes = b"") -> bytes:
    return option(13, code.to_bytes(2, "big") + text)


REPLY = message(
    7,
    option(1, CLIENT),
    option(2, SERVER),
    option(3, u32(1, 50, 80) + address("2001:db8::5", inside=status(0, b"fine")) + status(0)),
    option(25, u32(2, 0, 0) + prefix("2001:db8:1::/48", inside=option(67, bytes((64, 0, 1))))),
    option(13, b"\0\0all well"),
    option(23, IPv6Address("2001:db8::53").packed),
    option(24, b"\7example\3net\0"),
    option(64, b"\4aftr\7example\3net\0"),
    option(999, b"?"),
)

# Values

U32 = st.integers(0, 2**32 - 1)
IAIDS = U32
STATUSES = st.builds(Status, st.integers(0, 8), st.sampled_from(["", "no", "früh"]))
ADDRESSES = st.integers(0, 2**128 - 1).map(IPv6Address)


@st.composite
def prefixes(draw: st.DrawFn, longest: int = 128) -> IPv6Network:
    return IPv6Network((draw(st.integers(0, 2**128 - 1)), draw(st.integers(1, longest))), strict=False)


@st.composite
def delegations(draw: st.DrawFn) -> Grant:
    prefix = draw(prefixes(longest=120))
    excluded = None
    if draw(st.booleans()):
        length = draw(st.integers(prefix.prefixlen + 1, min(prefix.prefixlen + 40, 128)))
        inside = draw(st.integers(0, 2 ** (length - prefix.prefixlen) - 1)) << (128 - length)
        excluded = IPv6Network((int(prefix.network_address) | inside, length))
    return Grant(prefix, draw(U32), draw(U32), excluded, draw(STATUSES))


@st.composite
def associations(draw: st.DrawFn) -> IdentityAssociation:
    kind = draw(st.sampled_from(Kind))
    grant = delegations() if kind is Kind.PD else st.builds(Grant, ADDRESSES, U32, U32, st.none(), STATUSES)
    grants = draw(st.lists(grant, max_size=4, unique_by=lambda grant: grant.asset))
    return IdentityAssociation(Association(kind, draw(IAIDS)), draw(U32), draw(U32), tuple(grants), draw(STATUSES))


OPTIONS = st.builds(Option, st.integers(3, 2**16 - 1), st.binary(max_size=40))
MESSAGES = st.builds(
    Message,
    st.sampled_from(MessageType),
    st.integers(0, 2**24 - 1),
    st.lists(OPTIONS, max_size=8).map(lambda options: (Option(1, CLIENT), *options)),
)
