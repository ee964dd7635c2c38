"""What an operator chooses about a DHCPv4 client. Values only; the configuration has checked them before."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import Literal

import attrs

from routerd.protocols.dhcpv4.options import Option

RESERVED = frozenset(
    (
        Option.PAD,
        Option.REQUESTED_ADDRESS,
        Option.OVERLOAD,
        Option.MESSAGE_TYPE,
        Option.SERVER_ID,
        Option.PARAMETER_REQUEST_LIST,
        Option.MAX_MESSAGE_SIZE,
        Option.CLIENT_ID,
        Option.RAPID_COMMIT,
        Option.RELAY_AGENT_INFORMATION,
        Option.FORCERENEW_NONCE_CAPABLE,
        Option.END,
    )
)
"""Options that nobody may set raw: the machine's own, and 82, which is the relay's (V4-25)."""


def _frozen(given: Mapping[int, bytes]) -> Mapping[int, bytes]:
    return MappingProxyType(dict(given))


def _sendable(instance: Settings, attribute: attrs.Attribute[Mapping[int, bytes]], value: Mapping[int, bytes]) -> None:
    wrong = [code for code in value if code in RESERVED or not 0 < code < 255]
    if wrong:
        raise ValueError(f"options that cannot be set: {wrong}")


@attrs.frozen
class Settings:
    """One client's settings; times in seconds.

    `options` are sent as they are, wherever table 5 of RFC 2131 allows an option (V4-25). They may be credentials
    (option 90): they are in no repr. `request` is added to what the client asks for by itself.
    """

    client_id: bytes
    hostname: str | None = None
    vendor_class: bytes | None = None
    requested: IPv4Address | None = None
    """An address to ask for as long as none is known from an earlier lease."""
    request: tuple[int, ...] = ()
    options: Mapping[int, bytes] = attrs.field(factory=dict, repr=False, converter=_frozen, validator=_sendable)
    offer_window: float = 0.0
    """How long to collect OFFERs; 0: the first valid one is taken (V4-9)."""
    rapid_commit: bool = False
    conflict_detection: Literal["probe", "parallel", "skip"] = "probe"
    """How a fresh address is probed (ARP-5); one that a server or the gateway confirmed is never waited for."""
    defend: Literal["defend", "release"] = "defend"
    """What a second conflict within ten seconds means (ARP-4)."""
    v6_only_preferred: bool = False
    """The host can do without IPv4 (CLAT, NAT64): ask for option 108 and obey it (V4-24)."""
    forcerenew: bool = False
    broadcast: Literal["auto", "always", "never"] = "auto"
    dna_timeout: float = 0.2
    dna_probes: int = 3
    min_mtu: int = 576
