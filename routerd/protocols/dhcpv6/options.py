"""The DHCPv6 option and status codes by name (IANA `dhcpv6-parameters`), and who may be asked for what."""

from __future__ import annotations

from enum import IntEnum


class OptionCode(IntEnum):
    """Codes that routerd reads, asks for or sends; a message may carry any other."""

    CLIENT_ID = 1
    SERVER_ID = 2
    IA_NA = 3
    IA_TA = 4
    IA_ADDRESS = 5
    OPTION_REQUEST = 6
    PREFERENCE = 7
    ELAPSED_TIME = 8
    AUTHENTICATION = 11
    SERVER_UNICAST = 12
    """Obsolete (RFC 9915): ignored, the client always multicasts."""
    STATUS = 13
    RAPID_COMMIT = 14
    USER_CLASS = 15
    VENDOR_CLASS = 16
    VENDOR_OPTIONS = 17
    RECONFIGURE_MESSAGE = 19
    RECONFIGURE_ACCEPT = 20
    SIP_SERVERS = 22
    DNS_SERVERS = 23
    DOMAIN_SEARCH = 24
    IA_PD = 25
    IA_PREFIX = 26
    SNTP_SERVERS = 31
    INFORMATION_REFRESH_TIME = 32
    NTP_SERVER = 56
    AFTR_NAME = 64
    PD_EXCLUDE = 67
    SOL_MAX_RT = 82
    INF_MAX_RT = 83


class StatusCode(IntEnum):
    """RFC 9915 §21.13. Any other number is kept as it is, and counts as a failure."""

    SUCCESS = 0
    UNSPEC_FAIL = 1
    NO_ADDRS_AVAIL = 2
    NO_BINDING = 3
    NOT_ON_LINK = 4
    USE_MULTICAST = 5
    """Obsolete (RFC 9915): we never do otherwise."""
    NO_PREFIX_AVAIL = 6
