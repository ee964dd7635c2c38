"""rtnetlink messages as our values, and our changes as rtnetlink messages. Pure: bytes and values only.

Sources: linux/if_link.h, if_addr.h, rtnetlink.h. Decoders skip what the `Host` seam does not speak of: routes of
other tables and types, cached clones, the views that bridges and wireless drivers have of a link.
"""

from __future__ import annotations

import math
import struct
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_interface,
)
from socket import AF_INET, AF_INET6
from typing import Final, Literal

from routerd.host import LIFETIME_GRACE, Address, HostSide6, Link, Route, SetLink
from routerd.host.linux.netlink import attribute, attributes

OURS: Final = 114
"""Our mark on addresses (IFA_PROTO) and routes (rtm_protocol): `ip route show proto 114`. Not in rt_protos(5); `r`."""

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE."""

IFF_UP, IFF_LOOPBACK, IFF_POINTOPOINT, IFF_NOARP, IFF_LOWER_UP = 0x1, 0x8, 0x10, 0x80, 0x10000
IF_OPER_UNKNOWN, IF_OPER_UP = 0, 6
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_WIRELESS, IFLA_OPERSTATE = 1, 3, 4, 11, 16
IFLA_AF_SPEC, IFLA_EXT_MASK, IFLA_MAX_MTU, IFLA_PERM_ADDRESS = 26, 29, 51, 54
IFLA_INET6_CONF = 2
DEVCONF_FORWARDING, DEVCONF_ACCEPT_RA, DEVCONF_AUTOCONF, DEVCONF_DISABLE_IPV6 = 0, 3, 5, 26
"""Places in IFLA_INET6_CONF (linux/ipv6.h)."""
ALSO_FORWARDING = 2
"""Of accept_ra: routers are obeyed also while this host is one."""
RTEXT_FILTER_SKIP_STATS = 8

IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_CACHEINFO, IFA_FLAGS, IFA_PROTO = 1, 2, 4, 6, 8, 11
IFA_F_OPTIMISTIC, IFA_F_DADFAILED, IFA_F_TENTATIVE = 0x4, 0x8, 0x40
FOREVER: Final = 0xFFFFFFFF
"""Of an address's lifetime in seconds."""

RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_METRICS = 1, 4, 5, 6, 7, 8
RTA_MULTIPATH, RTA_VIA = 9, 18
RTAX_MTU = 2
RTM_F_CLONED, RTNH_F_ONLINK = 0x200, 0x4
RT_TABLE_MAIN, RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_NOWHERE = 254, 0, 253, 255
KINDS: Final[dict[int, Literal["unicast", "blackhole", "unreachable"]]] = {
    1: "unicast",
    6: "blackhole",
    7: "unreachable",
}
TYPES: Final = {kind: number for number, kind in KINDS.items()}

_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, dst length, src length, tos, table, protocol, scope, type, flags
_NEXT_HOP = struct.Struct("=HBBi")  # rtnexthop: length, flags, hops, index
_CACHEINFO = struct.Struct("=IIII")  # ifa_cacheinfo: preferred, valid, created, updated
_U32 = struct.Struct("=I")

FAMILIES: Final = (AF_INET, AF_INET6)


def _u32(payload: bytes | None) -> int:
    return int(_U32.unpack(payload)[0]) if payload else 0


# Links


def links_wanted() -> bytes:
    """The body of a dump of links."""
    return _LINK.pack(0, 0, 0, 0, 0) + attribute(IFLA_EXT_MASK, _U32.pack(RTEXT_FILTER_SKIP_STATS))


def link(body: bytes) -> Link | None:
    """RTM_NEWLINK, RTM_DELLINK; None for what is not about the link itself but about its place in a bridge
    (AF_BRIDGE) or its radio (a message that lacks everything else)."""
    family, _, index, flags, _ = _LINK.unpack_from(body)
    found = attributes(body, _LINK.size)
    if family or IFLA_WIRELESS in found or IFLA_IFNAME not in found:
        return None
    operational = found.get(IFLA_OPERSTATE, b"\0")[0]
    return Link(
        index,
        name=found[IFLA_IFNAME].rstrip(b"\0").decode(errors="backslashreplace"),
        mac=found.get(IFLA_ADDRESS, b""),
        mtu=_u32(found.get(IFLA_MTU)),
        max_mtu=_u32(found.get(IFLA_MAX_MTU)),
        admin_up=bool(flags & IFF_UP),
        carrier=bool(flags & IFF_LOWER_UP) and operational in (IF_OPER_UNKNOWN, IF_OPER_UP),
        arp=not flags & (IFF_NOARP | IFF_POINTOPOINT | IFF_LOOPBACK),
        ipv6=_host_side(found.get(IFLA_AF_SPEC, b"")),
        permanent_mac=found.get(IFLA_PERM_ADDRESS, b""),
    )


def _host_side(families: bytes) -> HostSide6 | None:
    conf = attributes(attributes(families).get(AF_INET6, b"")).get(IFLA_INET6_CONF, b"")
    values = struct.unpack(f"={len(conf) // 4}i", conf[: len(conf) & ~3])
    if len(values) <= DEVCONF_DISABLE_IPV6 or values[DEVCONF_DISABLE_IPV6]:
        return None
    accept_ra, forwarding = values[DEVCONF_ACCEPT_RA], bool(values[DEVCONF_FORWARDING])
    obeys = accept_ra == ALSO_FORWARDING or (accept_ra > 0 and not forwarding)
    return HostSide6(obeys, bool(values[DEVCONF_AUTOCONF]), forwarding)


def set_link(wanted: SetLink) -> bytes:
    """RTM_NEWLINK for what is not None."""
    mask = 0 if wanted.admin_up is None else IFF_UP
    body = _LINK.pack(0, 0, wanted.index, IFF_UP if wanted.admin_up else 0, mask)
    return body if wanted.mtu is None else body + attribute(IFLA_MTU, _U32.pack(wanted.mtu))


# Addresses


def addresses_wanted(family: int) -> bytes:
    """The body of a dump of addresses."""
    return _ADDRESS.pack(family, 0, 0, 0, 0)


def address(body: bytes, now: float) -> Address | None:
    """RTM_NEWADDR, RTM_DELADDR. `now` on the clock of `valid_until`."""
    family, prefix, flags, _, index = _ADDRESS.unpack_from(body)
    found = attributes(body, _ADDRESS.size)
    local = found.get(IFA_LOCAL) or found.get(IFA_ADDRESS)  # on point-to-point links IFA_ADDRESS is the peer
    if family not in FAMILIES or local is None:
        return None
    ours = found.get(IFA_PROTO) == bytes((OURS,))
    preferred, valid = (
        _CACHEINFO.unpack_from(found[IFA_CACHEINFO])[:2] if IFA_CACHEINFO in found else (FOREVER, FOREVER)
    )
    until = None if valid == FOREVER else now + valid - (LIFETIME_GRACE if ours else 0)
    preferred_until = None if preferred == FOREVER else now + preferred
    standing = _standing(_u32(found[IFA_FLAGS]) if IFA_FLAGS in found else flags)
    return Address(index, ip_interface((local, prefix)), ours, until, preferred_until, standing)


def _standing(flags: int) -> Literal["ready", "tentative", "duplicate"]:
    if flags & IFA_F_DADFAILED:
        return "duplicate"
    return "tentative" if flags & IFA_F_TENTATIVE and not flags & IFA_F_OPTIMISTIC else "ready"


def put_address(wanted: Address, now: float) -> bytes:
    """RTM_NEWADDR. The kernel's own lifetime is longer than ours by LIFETIME_GRACE and never shorter than a second."""
    own = wanted.address.ip.packed
    body = _address(wanted) + attribute(IFA_ADDRESS, own) + attribute(IFA_PROTO, bytes((OURS,)))
    if isinstance(wanted.address, IPv4Interface) and wanted.address.network.prefixlen < 31:
        body += attribute(IFA_BROADCAST, wanted.address.network.broadcast_address.packed)
    valid, preferred = _seconds(wanted.valid_until, now, LIFETIME_GRACE, 1), _seconds(wanted.preferred_until, now, 0, 0)
    return body + attribute(IFA_CACHEINFO, _CACHEINFO.pack(min(preferred, valid), valid, 0, 0))


def _seconds(until: float | None, now: float, grace: float, least: int) -> int:
    return FOREVER if until is None else min(max(math.ceil(until + grace - now), least), FOREVER)


def remove_address(unwanted: Address) -> bytes:
    """RTM_DELADDR."""
    return _address(unwanted) + attribute(IFA_ADDRESS, unwanted.address.ip.packed)


def _address(of: Address) -> bytes:
    family = AF_INET if of.address.version == 4 else AF_INET6
    body = _ADDRESS.pack(family, of.address.network.prefixlen, 0, RT_SCOPE_UNIVERSE, of.link)
    return body + attribute(IFA_LOCAL, of.address.ip.packed)


# Routes


def routes_wanted(family: int) -> bytes:
    """The body of a dump of the main table's routes."""
    return _ROUTE.pack(family, 0, 0, 0, RT_TABLE_MAIN, 0, 0, 0, 0)


def routes(body: bytes) -> list[Route]:
    """RTM_NEWROUTE, RTM_DELROUTE: one route, or one per next hop where there are several."""
    family, length, _, _, table, protocol, _, kind, flags = _ROUTE.unpack_from(body)
    if family not in FAMILIES or table != RT_TABLE_MAIN or kind not in KINDS or flags & RTM_F_CLONED:
        return []
    found = attributes(body, _ROUTE.size)
    destination = _network(found.get(RTA_DST) or bytes(4 if family == AF_INET else 16), length)
    unicast = KINDS[kind] == "unicast"
    return [
        Route(
            destination,
            link=index if unicast else None,  # IPv6 says `lo`
            gateway=gateway,
            metric=_u32(found.get(RTA_PRIORITY)),
            source=ip_address(found[RTA_PREFSRC]) if RTA_PREFSRC in found else None,
            mtu=_u32(attributes(found.get(RTA_METRICS, b"")).get(RTAX_MTU)),
            onlink=onlink,
            kind=KINDS[kind],
            ours=protocol == OURS,
        )
        for index, gateway, onlink in _next_hops(found, flags)
    ]


def put_route(wanted: Route) -> bytes:
    """RTM_NEWROUTE. The MTU is the route's, not locked: path MTU discovery may find a smaller one (V4-20)."""
    scope = RT_SCOPE_LINK if _is_direct(wanted) else RT_SCOPE_UNIVERSE
    return _route(wanted, OURS, scope)


def remove_route(unwanted: Route) -> bytes:
    """RTM_DELROUTE."""
    return _route(unwanted, OURS if unwanted.ours else 0, RT_SCOPE_NOWHERE)


def _route(of: Route, protocol: int, scope: int) -> bytes:
    family = AF_INET if of.destination.version == 4 else AF_INET6
    flags = RTNH_F_ONLINK if of.onlink else 0
    length = of.destination.prefixlen
    body = _ROUTE.pack(family, length, 0, 0, RT_TABLE_MAIN, protocol, scope, TYPES[of.kind], flags)
    body += attribute(RTA_DST, of.destination.network_address.packed)
    body += attribute(RTA_PRIORITY, _U32.pack(of.metric))
    if of.link is not None:
        body += attribute(RTA_OIF, _U32.pack(of.link))
    if of.gateway is not None and of.gateway.version == of.destination.version:
        body += attribute(RTA_GATEWAY, of.gateway.packed)
    elif of.gateway is not None:
        body += attribute(RTA_VIA, struct.pack("=H", AF_INET6) + of.gateway.packed)
    if of.source is not None:
        body += attribute(RTA_PREFSRC, of.source.packed)
    if of.mtu:
        body += attribute(RTA_METRICS, attribute(RTAX_MTU, _U32.pack(of.mtu)))
    return body


def _is_direct(route: Route) -> bool:
    return route.kind == "unicast" and route.gateway is None and route.destination.version == 4


NextHop = tuple[int | None, IPv4Address | IPv6Address | None, bool]


def _next_hops(found: dict[int, bytes], flags: int) -> list[NextHop]:
    if RTA_MULTIPATH not in found:
        index = _u32(found[RTA_OIF]) if RTA_OIF in found else None
        return [(index, _gateway(found), bool(flags & RTNH_F_ONLINK))]
    hops: list[NextHop] = []
    rest = found[RTA_MULTIPATH]
    while len(rest) >= _NEXT_HOP.size:
        length, flags, _, index = _NEXT_HOP.unpack_from(rest)
        if length < _NEXT_HOP.size:
            break
        hops.append((index, _gateway(attributes(rest[:length], _NEXT_HOP.size)), bool(flags & RTNH_F_ONLINK)))
        rest = rest[(length + 3) & ~3 :]
    return hops


def _gateway(found: dict[int, bytes]) -> IPv4Address | IPv6Address | None:
    if RTA_VIA in found:  # a gateway of the other family: its family, its address
        return ip_address(found[RTA_VIA][2:])
    return ip_address(found[RTA_GATEWAY]) if RTA_GATEWAY in found else None


def _network(prefix: bytes, length: int) -> IPv4Network | IPv6Network:
    return IPv4Network((prefix, length)) if len(prefix) == 4 else IPv6Network((prefix, length))
