"""The DHCPv4 option codes by name (IANA `bootp-dhcp-parameters`), and which of them have a fixed length."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType


class Option(IntEnum):
    """Codes that routerd reads, asks for or sends; a message may carry any other."""

    PAD = 0
    SUBNET_MASK = 1
    ROUTER = 3
    DOMAIN_NAME_SERVER = 6
    HOST_NAME = 12
    DOMAIN_NAME = 15
    INTERFACE_MTU = 26
    BROADCAST_ADDRESS = 28
    STATIC_ROUTE = 33
    NTP_SERVERS = 42
    REQUESTED_ADDRESS = 50
    LEASE_TIME = 51
    OVERLOAD = 52
    MESSAGE_TYPE = 53
    SERVER_ID = 54
    PARAMETER_REQUEST_LIST = 55
    MESSAGE = 56
    MAX_MESSAGE_SIZE = 57
    RENEWAL_TIME = 58
    REBINDING_TIME = 59
    VENDOR_CLASS_ID = 60
    CLIENT_ID = 61
    RAPID_COMMIT = 80
    RELAY_AGENT_INFORMATION = 82
    AUTHENTICATION = 90
    IPV6_ONLY_PREFERRED = 108
    AUTO_CONFIGURE = 116
    DOMAIN_SEARCH = 119
    CLASSLESS_ROUTE = 121
    FORCERENEW_NONCE_CAPABLE = 145
    MS_CLASSLESS_ROUTE = 249
    END = 255


FIXED_LENGTH: Mapping[int, int] = MappingProxyType(
    {
        Option.SUBNET_MASK: 4,
        Option.INTERFACE_MTU: 2,
        Option.BROADCAST_ADDRESS: 4,
        Option.REQUESTED_ADDRESS: 4,
        Option.LEASE_TIME: 4,
        Option.OVERLOAD: 1,
        Option.MESSAGE_TYPE: 1,
        Option.SERVER_ID: 4,
        Option.MAX_MESSAGE_SIZE: 2,
        Option.RENEWAL_TIME: 4,
        Option.REBINDING_TIME: 4,
        Option.IPV6_ONLY_PREFERRED: 4,
        Option.AUTO_CONFIGURE: 1,
    }
)
"""Octets of the options whose repeats cannot be pieces of one value (V4-16)."""
