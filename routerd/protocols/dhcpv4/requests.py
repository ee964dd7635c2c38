"""The messages a client sends (RFC 2131 §4.3.2, §4.4.1 and tables 4 and 5): which fields and options go into which."""

from __future__ import annotations

from ipaddress import IPv4Address

from routerd.protocols.dhcpv4.inputs import LinkUp
from routerd.protocols.dhcpv4.lease import Lease
from routerd.protocols.dhcpv4.message import ANY, Message, MessageType, Op
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.dhcpv4.settings import Settings
from routerd.protocols.dhcpv4.states import Offer
from routerd.protocols.dhcpv4.values import encode_u16

ASKED_FOR = (
    Option.SUBNET_MASK,
    Option.CLASSLESS_ROUTE,  # RFC 3442 p. 4: before 3 and 33, which is why V4-7's order is not kept
    Option.MS_CLASSLESS_ROUTE,
    Option.ROUTER,
    Option.DOMAIN_NAME_SERVER,
    Option.HOST_NAME,
    Option.DOMAIN_NAME,
    Option.INTERFACE_MTU,
    Option.BROADCAST_ADDRESS,
    Option.STATIC_ROUTE,
    Option.NTP_SERVERS,
    Option.LEASE_TIME,
    Option.SERVER_ID,
    Option.RENEWAL_TIME,
    Option.REBINDING_TIME,
    Option.DOMAIN_SEARCH,
)
_ON_REQUEST = frozenset((Option.MS_CLASSLESS_ROUTE,))
_HMAC_MD5 = b"\x01"


def discover(
    settings: Settings, link: LinkUp, xid: int, *, secs: int, broadcast: bool, hint: IPv4Address | None
) -> Message:
    """DHCPDISCOVER, with the last address as a wish (§4.4.1)."""
    options = _asking(settings, link)
    if hint is not None:
        options[Option.REQUESTED_ADDRESS] = hint.packed
    if settings.rapid_commit:
        options[Option.RAPID_COMMIT] = b""
    return _message(MessageType.DISCOVER, link, xid, options, secs=secs, broadcast=broadcast)


def request_offer(settings: Settings, link: LinkUp, xid: int, offer: Offer, *, secs: int, broadcast: bool) -> Message:
    """DHCPREQUEST in SELECTING: the server chosen and the address offered (§4.3.2)."""
    options = _asking(settings, link)
    options[Option.REQUESTED_ADDRESS] = offer.address.packed
    options[Option.SERVER_ID] = offer.server_id.packed
    return _message(MessageType.REQUEST, link, xid, options, secs=secs, broadcast=broadcast)


def request_reboot(settings: Settings, link: LinkUp, xid: int, lease: Lease, *, secs: int) -> Message:
    """DHCPREQUEST in INIT-REBOOT: the address alone, no server (§4.3.2)."""
    options = _asking(settings, link)
    options[Option.REQUESTED_ADDRESS] = lease.address.ip.packed
    return _message(MessageType.REQUEST, link, xid, options, secs=secs, broadcast=settings.broadcast == "always")


def request_extension(settings: Settings, link: LinkUp, xid: int, lease: Lease, *, secs: int) -> Message:
    """DHCPREQUEST in RENEWING and REBINDING: ciaddr says it all (§4.3.2)."""
    return _message(MessageType.REQUEST, link, xid, _asking(settings, link), secs=secs, ciaddr=lease.address.ip)


def decline(settings: Settings, link: LinkUp, xid: int, lease: Lease) -> Message:
    """DHCPDECLINE (table 5)."""
    options = {
        int(Option.REQUESTED_ADDRESS): lease.address.ip.packed,
        int(Option.SERVER_ID): lease.server_id.packed,
        int(Option.CLIENT_ID): settings.client_id,
    }
    return _message(MessageType.DECLINE, link, xid, options)


def release(settings: Settings, link: LinkUp, xid: int, lease: Lease) -> Message:
    """DHCPRELEASE. V4-25 wants all raw options here too, but table 5 forbids them; only the credentials go along,
    by RFC 3118, without which an access network that demands them would ignore the message."""
    options = {int(Option.SERVER_ID): lease.server_id.packed, int(Option.CLIENT_ID): settings.client_id}
    if Option.AUTHENTICATION in settings.options:
        options[Option.AUTHENTICATION] = settings.options[Option.AUTHENTICATION]
    return _message(MessageType.RELEASE, link, xid, options, ciaddr=lease.address.ip)


def parameter_request_list(settings: Settings) -> bytes:
    """Option 55: the same codes in the same order in every message (§4.4.1)."""
    asked = [int(code) for code in ASKED_FOR if code not in _ON_REQUEST or code in settings.request]
    if settings.v6_only_preferred:
        asked.append(Option.IPV6_ONLY_PREFERRED)
    # RFC 8925 §3.2: who cannot do without IPv4 must not ask for 108, whatever the list says.
    refused = () if settings.v6_only_preferred else (Option.IPV6_ONLY_PREFERRED,)
    return bytes(dict.fromkeys((*asked, *(code for code in settings.request if code not in refused))))


def _asking(settings: Settings, link: LinkUp) -> dict[int, bytes]:
    options = _identity(settings)
    options[Option.PARAMETER_REQUEST_LIST] = parameter_request_list(settings)
    options[Option.MAX_MESSAGE_SIZE] = encode_u16(min(max(link.mtu - 28, 576), 1500))
    if settings.hostname is not None:
        options[Option.HOST_NAME] = settings.hostname.encode()
    if settings.forcerenew:
        options[Option.FORCERENEW_NONCE_CAPABLE] = _HMAC_MD5  # RFC 6704 §4
    return options


def _identity(settings: Settings) -> dict[int, bytes]:
    options: dict[int, bytes] = {Option.CLIENT_ID: settings.client_id}
    if settings.vendor_class is not None:
        options[Option.VENDOR_CLASS_ID] = settings.vendor_class
    options.update(settings.options)
    return options


def _message(
    kind: MessageType,
    link: LinkUp,
    xid: int,
    options: dict[int, bytes],
    *,
    secs: int = 0,
    broadcast: bool = False,
    ciaddr: IPv4Address = ANY,
) -> Message:
    return Message(Op.BOOTREQUEST, kind, xid, link.mac, secs, broadcast, ciaddr, options=options)
