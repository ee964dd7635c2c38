"""Group `net.routerd.net/v1alpha1`, IPv6: what DHCPv6 and routers give, what becomes of it on the LAN, and routes
(contract §4.3).

All DHCPv6 resources of one interface are associations of one client: one exchange asks for all of them (V6-13).
"""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network
from typing import Literal

import attrs

from routerd.resources.conditions import HELD, Dependency, When, not_too_many
from routerd.resources.net import DEVICE, IPv4Route, check_way
from routerd.resources.resource import NAME, ValueFrom, told
from routerd.shapes.duration import Duration, format_duration
from routerd.shapes.invalid import Invalid
from routerd.shapes.limits import Between, Each, Matching

_INTERFACE = told("Name of the Interface resource.", example="wan", refers="Interface")
_LAN = told("Name of the Interface resource on the LAN.", example="lan", refers="Interface")
_DEPENDS = told("What other resources must have first, all of it.")
DUID = Matching(r"(0x)?([0-9A-Fa-f]{2}:?){3,130}", 392, "a DUID", "3 to 130 octets in hexadecimal")
IAID = Between(0, 2**32 - 1)
METRIC6 = 1024
"""What the kernel makes of an IPv6 route's metric 0."""
OPTION_CODE6 = Between(1, 2**16 - 1)
DOMAIN = Matching(r"[A-Za-z0-9_]([-.A-Za-z0-9_]{0,251}[A-Za-z0-9_])?", 253, "a domain name", "letters, digits, - and .")


def _unicast6(_instance: object, _field: object, value: IPv6Address | None) -> None:
    if value is not None and (value.is_multicast or value.is_loopback or value.is_unspecified):
        raise Invalid("value.address", f"{value} is no address of a host", "expected a unicast address")


@attrs.frozen
class DHCPv6PrefixDelegation:
    """Acquires a prefix for the networks behind this router (RFC 9915 IA_PD), and keeps it."""

    interface: str = attrs.field(validator=NAME, metadata=_INTERFACE)
    client: str | None = attrs.field(
        default=None,
        validator=NAME,
        metadata=told("Recorded only: all DHCPv6 resources of an interface are one client's."),
    )
    profile: Literal["default", "ntt-ngn-direct-hikari-denwa", "ntt-hgw-lan-pd"] = attrs.field(
        default="default",
        metadata=told("What the provider is known to want: the `ntt-…` profiles ask for a /60 with a DUID-LL."),
    )
    prefix_length: int | None = attrs.field(
        default=None,
        validator=Between(1, 128),
        metadata=told(
            "Length to ask for as long as no earlier prefix is known; another one is taken, too.", example=56
        ),
    )
    client_duid: str | None = attrs.field(
        default=None, validator=DUID, metadata=told("The client's DUID, in hexadecimal; else one is made and kept.")
    )
    duid_type: Literal["ll", "llt", "en", "uuid"] = attrs.field(
        default="ll", metadata=told("The DUID that is made when none is given. The one that was used first is kept.")
    )
    iaid: int | None = attrs.field(
        default=None, validator=IAID, metadata=told("IAID; else one that is made of the resource's name.")
    )
    rapid_commit: bool = attrs.field(default=False, metadata=told("Take the lease in two messages (RFC 9915 §18.2.1)."))
    reconfigure_accept: bool = attrs.field(
        default=False, metadata=told("Obey the server's Reconfigure when it is authenticated (RKAP).")
    )
    follow_ra: bool = attrs.field(
        default=False, metadata=told("Begin only when a router's advertisement says so (M or O flag).")
    )
    release_on_stop: bool = attrs.field(
        default=False,
        metadata=told(
            "Give the prefix back when it is not wanted any more: the resource was removed, or is held by its `when`. "
            "That of the first one goes for addresses, too. A restart of routerd never gives anything back."
        ),
    )
    request_options: tuple[int, ...] = attrs.field(
        default=(),
        validator=Each(OPTION_CODE6, 64),
        metadata=told("Option codes to ask for beyond those that routerd asks for by itself.", example=[17]),
    )
    required: bool = attrs.field(default=False, metadata=told("Recorded only: routerd never gives up anyway."))
    dscp: int = attrs.field(default=0, validator=Between(0, 63), metadata=told("DSCP of what the client sends."))
    vlan_priority: int = attrs.field(default=0, validator=Between(0, 7), metadata=told("VLAN priority (PCP) of it."))
    when: When | None = attrs.field(default=None, metadata=HELD)


@attrs.frozen
class DHCPv6Address:
    """Acquires an address for the interface itself (RFC 9915 IA_NA), and keeps it."""

    interface: str = attrs.field(validator=NAME, metadata=_INTERFACE)
    client: str | None = attrs.field(
        default=None,
        validator=NAME,
        metadata=told("Recorded only: all DHCPv6 resources of an interface are one client's."),
    )
    iaid: int | None = attrs.field(
        default=None, validator=IAID, metadata=told("IAID; else one that is made of the resource's name.")
    )
    required: bool = attrs.field(default=False, metadata=told("Recorded only: routerd never gives up anyway."))
    when: When | None = attrs.field(default=None, metadata=HELD)


@attrs.frozen
class DHCPv6Information:
    """Asks for what is known beside addresses: name servers, time servers, the AFTR of DS-Lite (RFC 9915 §18.2.6)."""

    interface: str = attrs.field(validator=NAME, metadata=_INTERFACE)
    request: tuple[int, ...] = attrs.field(
        default=(),
        validator=Each(OPTION_CODE6, 64),
        metadata=told("Option codes to ask for beyond those that routerd asks for by itself."),
    )
    depends_on: tuple[Dependency, ...] = attrs.field(default=(), validator=not_too_many, metadata=_DEPENDS)
    when: When | None = attrs.field(default=None, metadata=HELD)


@attrs.frozen
class IPv6DelegatedAddress:
    """An address on a LAN interface out of a delegated prefix, with the subnet that it stands for."""

    prefix_delegation: str = attrs.field(
        validator=NAME,
        metadata=told(
            "Name of the DHCPv6PrefixDelegation resource.", example="wan-pd", refers="DHCPv6PrefixDelegation"
        ),
    )
    interface: str = attrs.field(validator=NAME, metadata=_LAN)
    subnet_id: int = attrs.field(
        default=0,
        validator=Between(0, 2**32 - 1),
        metadata=told("Which of the subnets of the prefix, from 0.", example=1),
    )
    address_suffix: IPv6Address = attrs.field(
        kw_only=True, metadata=told("The address within the subnet.", example="::1")
    )
    prefix_length: int = attrs.field(
        default=64, validator=Between(1, 128), metadata=told("Length of the subnet; SLAAC needs 64.")
    )
    send_ra: bool = attrs.field(
        default=False,
        metadata=told("Recorded only: an IPv6RouterAdvertisement on the interface is what sends."),
    )
    announce: bool = attrs.field(
        default=True, metadata=told("Whether the subnet is among the prefixes that are advertised on the interface.")
    )
    depends_on: tuple[Dependency, ...] = attrs.field(default=(), validator=not_too_many, metadata=_DEPENDS)
    when: When | None = attrs.field(default=None, metadata=HELD)

    def __attrs_post_init__(self) -> None:
        """The subnet's own address is that of any of its routers (RFC 4291 §2.6.1), but for links of two (RFC 6164)."""
        suffix, bits = int(self.address_suffix), 128 - self.prefix_length
        if suffix >> bits:
            words = f"{self.address_suffix} is more than the {bits} bits that a /{self.prefix_length} leaves"
            raise Invalid("value.address", words, "expected the address within the subnet", field="addressSuffix")
        if suffix == 0 and bits > 1:
            words = "is the address of the subnet itself"
            raise Invalid("value.address", words, "expected a host's address, such as ::1", field="addressSuffix")


@attrs.frozen
class IPv6RAAddress:
    """Listens for routers on an interface: default route, addresses by SLAAC, name servers (RFC 4861, RFC 4862)."""

    interface: str = attrs.field(validator=NAME, metadata=_INTERFACE)
    mode: Literal["routerd", "kernel"] = attrs.field(
        default="routerd",
        metadata=told("Who makes addresses and routes of it: routerd, or the kernel, which is then only watched."),
    )
    addresses: bool = attrs.field(default=True, metadata=told("Make addresses of the prefixes (SLAAC)."))
    use_routes: bool = attrs.field(default=True, metadata=told("Install the default route and other routes."))
    use_dns: bool = attrs.field(default=True, metadata=told("Let others use the name servers that are told."))
    route_metric: int | None = attrs.field(
        default=None,
        validator=Between(0, 2**32 - 1),
        metadata=told("Metric of those routes. Without it they count from 100 in the order of the file.", example=100),
    )
    when: When | None = attrs.field(default=None, metadata=HELD)


@attrs.frozen
class IPv6RouterAdvertisement:
    """Tells the hosts of a LAN of this router and of their prefixes (RFC 4861 §6.2, RFC 8106, RFC 9096)."""

    interface: str = attrs.field(validator=NAME, metadata=_LAN)
    prefix: IPv6Network | None = attrs.field(
        default=None, metadata=told("A prefix of one's own to advertise.", example="fd00:1::/64")
    )
    prefix_from: ValueFrom | None = attrs.field(
        default=None,
        metadata=told("A prefix to advertise, as another resource has it (IPv6DelegatedAddress `prefix`)."),
    )
    rdnss: tuple[IPv6Address, ...] = attrs.field(default=(), metadata=told("Name servers for the hosts."))
    rdnss_from: ValueFrom | None = attrs.field(
        default=None, metadata=told("Name servers, as another resource has them.")
    )
    dnssl: tuple[str, ...] = attrs.field(
        default=(), validator=Each(DOMAIN, 16), metadata=told("Domains in which hosts look for short names.")
    )
    dnssl_from: ValueFrom | None = attrs.field(
        default=None, metadata=told("Those domains, as another resource has them.")
    )
    m_flag: bool = attrs.field(default=False, metadata=told("Tell hosts to ask for addresses by DHCPv6."))
    o_flag: bool = attrs.field(default=False, metadata=told("Tell hosts to ask for the rest by DHCPv6."))
    mtu: int | None = attrs.field(
        default=None, validator=Between(1280, 65535), metadata=told("MTU of the link, for the hosts.", example=1500)
    )
    prf_preference: Literal["low", "medium", "high"] = attrs.field(
        default="medium", metadata=told("How much this router is to be preferred (RFC 4191).")
    )
    preferred_lifetime: Duration | None = attrs.field(
        default=None, metadata=told("Of a prefix of one's own; a delegated one lasts as its lease does.", example="4h")
    )
    valid_lifetime: Duration | None = attrs.field(
        default=None, metadata=told("Of a prefix of one's own.", example="24h")
    )
    router_lifetime: Duration = attrs.field(
        default=Duration(1800.0),
        metadata=told("For how long hosts take this router for a default router; 0s: it is none."),
    )
    max_interval: Duration = attrs.field(
        default=Duration(600.0), metadata=told("Longest time between two advertisements to all, 4s to 30m.")
    )
    depends_on: tuple[Dependency, ...] = attrs.field(default=(), validator=not_too_many, metadata=_DEPENDS)
    when: When | None = attrs.field(default=None, metadata=HELD)

    def __attrs_post_init__(self) -> None:
        """Either a value or where it comes from; times as RFC 4861 §6.2.1 has them."""
        for name, value, source in (("prefix", self.prefix, self.prefix_from), ("dnssl", self.dnssl, self.dnssl_from)):
            if value and source is not None:
                words = f"stands beside {name}"
                raise Invalid("value.exclusive", words, "expected one of the two", field=f"{name}From")
        if self.prefix is not None and (self.prefix.is_link_local or self.prefix.is_multicast):
            words = f"{self.prefix} is no prefix for the addresses of hosts"
            raise Invalid("value.network", words, "expected a unicast prefix", field="prefix")
        if not 4 <= self.max_interval <= 1800:
            raise Invalid("value.range", "is not from 4s to 30m", "expected 4s to 30m", field="maxInterval")
        least = self.max_interval
        if self.router_lifetime > 0 and not least <= self.router_lifetime <= 9000:
            words = f"is neither 0s nor from maxInterval ({format_duration(least)}) to 2h30m"
            short = "hosts would forget the router in between"
            why = short if self.router_lifetime < least else "no more can be told (RFC 4861 §6.2.1)"
            raise Invalid("value.range", words, why, field="routerLifetime")
        preferred, valid = self.preferred_lifetime, self.valid_lifetime
        if preferred is not None and valid is not None and preferred > valid:
            words = "is longer than validLifetime"
            raise Invalid("value.range", words, "expected no more than that", field="preferredLifetime")


@attrs.frozen
class IPv6StaticRoute:
    """A static IPv6 route in the main table."""

    destination: IPv6Network = attrs.field(metadata=told("Where to.", example="2001:db8:20::/48"))
    type: Literal["unicast", "blackhole", "unreachable"] = attrs.field(
        default="unicast",
        metadata=told("`unicast` forwards, `blackhole` drops what goes there, `unreachable` says so to the sender."),
    )
    device: str | None = attrs.field(
        default=None,
        validator=DEVICE,
        metadata=told("The interface to send by: an Interface resource, or the kernel's name.", example="lan"),
    )
    device_from: ValueFrom | None = attrs.field(
        default=None, metadata=told("The interface to send by, as another resource has it.")
    )
    gateway: IPv6Address | None = attrs.field(
        default=None,
        validator=_unicast6,
        metadata=told("The router to send to; a link-local one needs a device.", example="fe80::1"),
    )
    gateway_from: ValueFrom | None = attrs.field(
        default=None, metadata=told("The router to send to, as another resource has it.")
    )
    preferred_source: IPv6Address | None = attrs.field(
        default=None, validator=_unicast6, metadata=told("The address that this host uses as source by this route.")
    )
    metric: int = attrs.field(
        default=0,
        validator=Between(0, 2**32 - 1),
        metadata=told("Of routes to the same destination the lowest metric is used; 0 becomes 1024."),
    )
    depends_on: tuple[Dependency, ...] = attrs.field(default=(), validator=not_too_many, metadata=_DEPENDS)

    def __attrs_post_init__(self) -> None:
        check_way(
            self.type,
            device=self.device,
            deviceFrom=self.device_from,
            gateway=self.gateway,
            gatewayFrom=self.gateway_from,
        )
        if self.gateway is not None and self.gateway.is_link_local and not (self.device or self.device_from):
            words = f"{self.gateway} is on every link: it needs a device"
            raise Invalid("value.required", words, "expected device or deviceFrom", field="device")


def metric_of(route: IPv4Route | IPv6StaticRoute) -> int:
    """Of a declared route, as the kernel keeps it: it makes something of 0 for IPv6."""
    return route.metric or METRIC6 if isinstance(route, IPv6StaticRoute) else route.metric
