"""Group `net.routerd.net/v1alpha1`: interfaces, addresses, routes, the DHCPv4 client (contract §4.3).

A class is a kind's spec: field names are the YAML names in snake_case; `metadata["help"]` and
`metadata["example"]` feed `routerd schema` and error hints; validation that needs one field only is here,
what needs two resources is in `routerd.config.check`.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Literal

import attrs

from routerd.resources.conditions import HELD, Dependency, When, not_too_many
from routerd.resources.options import OPTION_CODE, OPTION_TEXT, SendOption, each_once, octets
from routerd.resources.resource import NAME, ValueFrom, told
from routerd.shapes.duration import Duration
from routerd.shapes.invalid import Invalid
from routerd.shapes.limits import AtMost, Between, Each, Matching

IFNAME = Matching(r"[A-Za-z0-9_][!-.0-9;-~]{0,14}", 15, "an interface name", "1 to 15 characters, no space, / or :")


_INTERFACE = told("Name of the Interface resource.", example="wan", refers="Interface")


DEVICE = Matching(r"[!-.0-9;-~]{1,63}", 63, "the name of an interface", "a name without space, / or :")


def _unicast(_instance: object, _field: object, value: IPv4Address | None) -> None:
    """A host's address, and not a loopback one."""
    if value is None:
        return
    for wrong, what in (
        (value.is_multicast, "a multicast address"),
        (value.is_loopback, "a loopback address"),
        (int(value) >> 24 == 0, 'an address of "this network"'),
        (int(value) >> 28 == 15, "reserved"),
    ):
        if wrong:
            raise Invalid("value.address", f"{value} is {what}", "expected a host's address")


def _host_address(instance: object, field: object, value: IPv4Interface) -> None:
    """An address that a host may have in its network (RFC 1122 §3.2.1.3; /31 by RFC 3021)."""
    _unicast(instance, field, value.ip)
    network = value.network
    if network.prefixlen >= 31 or value.ip not in (network.network_address, network.broadcast_address):
        return
    what = "the network address" if value.ip == network.network_address else "the broadcast address"
    raise Invalid(
        "value.address",
        f"{value.ip} is {what} of {network}",
        "expected a host's address",
        f"the first one is {network[1]}/{network.prefixlen}",
    )


@attrs.frozen
class Interface:
    """A network interface of this host, under a name of its own. Other resources refer to that name, so that a
    changed card means one changed line."""

    ifname: str = attrs.field(validator=IFNAME, metadata=told("The name that the kernel gives it.", example="eth0"))
    admin_up: bool = attrs.field(default=True, metadata=told("Set it up (true) or down (false), administratively."))
    managed: bool = attrs.field(
        default=True,
        metadata=told(
            "Whether routerd may change the link itself: administrative state and MTU. False: it only looks."
        ),
    )
    mtu: int | None = attrs.field(
        default=None,
        validator=Between(576, 9216),
        metadata=told("MTU in octets; without it the MTU stays as it is.", example=1500),
    )
    owner: Literal["routerd", "external"] = attrs.field(
        default="routerd",
        metadata=told(
            "Who looks after the link. `external`: somebody else; routerd does not touch it, as with `managed: false`."
        ),
    )
    when: When | None = attrs.field(default=None, metadata=HELD)


@attrs.frozen
class IPv4StaticAddress:
    """An IPv4 address that an interface always has."""

    interface: str = attrs.field(validator=NAME, metadata=_INTERFACE)
    address: IPv4Interface = attrs.field(
        validator=_host_address, metadata=told("The address with its prefix length.", example="192.168.1.1/24")
    )
    exclusive: bool = attrs.field(
        default=False, metadata=told("Remove every IPv4 address from the interface that routerd did not put there.")
    )
    allow_overlap: bool = attrs.field(
        default=False,
        metadata=told("Accept that the network overlaps one of another interface; say why in `allowOverlapReason`."),
    )
    allow_overlap_reason: str | None = attrs.field(
        default=None,
        validator=Matching(r"\S[\s\S]*", 1000, "a reason", "a sentence"),
        metadata=told("Why the overlap is wanted: for whoever reads the file next."),
    )
    when: When | None = attrs.field(default=None, metadata=HELD)

    def __attrs_post_init__(self) -> None:
        if self.allow_overlap and self.allow_overlap_reason is None:
            raise Invalid(
                "value.required", "is required with allowOverlap", "expected a reason", field="allowOverlapReason"
            )


@attrs.frozen
class IPv4Route:
    """A static IPv4 route in the main table."""

    destination: IPv4Network = attrs.field(metadata=told("Where to.", example="10.20.0.0/16"))
    type: Literal["unicast", "blackhole"] = attrs.field(
        default="unicast", metadata=told("`unicast` forwards, `blackhole` drops what goes there.")
    )
    device: str | None = attrs.field(
        default=None,
        validator=DEVICE,
        metadata=told("The interface to send by: an Interface resource, or the kernel's name.", example="lan"),
    )
    device_from: ValueFrom | None = attrs.field(
        default=None, metadata=told("The interface to send by, as another resource has it.")
    )
    gateway: IPv4Address | None = attrs.field(
        default=None,
        validator=_unicast,
        metadata=told("The router to send to; without one the destination is on the link.", example="192.168.1.254"),
    )
    gateway_from: ValueFrom | None = attrs.field(
        default=None, metadata=told("The router to send to, as another resource has it.")
    )
    preferred_source: IPv4Address | None = attrs.field(
        default=None, validator=_unicast, metadata=told("The address that this host uses as source by this route.")
    )
    metric: int = attrs.field(
        default=0,
        validator=Between(0, 2**32 - 1),
        metadata=told("Of routes to the same destination the lowest metric is used."),
    )
    depends_on: tuple[Dependency, ...] = attrs.field(
        default=(), validator=not_too_many, metadata=told("Apply it only while each of these is so.")
    )

    def __attrs_post_init__(self) -> None:
        check_way(
            self.type,
            device=self.device,
            deviceFrom=self.device_from,
            gateway=self.gateway,
            gatewayFrom=self.gateway_from,
        )


def check_way(type_: str, **places: object) -> None:
    """Where a route of this type leads: each place is given in one way, and to nowhere leads nothing. `places` by their
    names on the wire. Raises Invalid."""
    given = [name for name, value in places.items() if value is not None]
    for name in ("device", "gateway"):
        if name in given and f"{name}From" in given:
            raise Invalid("value.exclusive", f"stands beside {name}", "expected one of the two", field=f"{name}From")
    if type_ != "unicast" and given:
        article = "an" if type_ == "unreachable" else "a"
        words = f"has no meaning for {article} {type_} route"
        raise Invalid("value.exclusive", words, "remove it", field=given[0])
    if type_ == "unicast" and not given:
        raise Invalid(
            "value.required",
            "a unicast route needs a device or a gateway",
            "expected device, deviceFrom, gateway or gatewayFrom",
            field="gateway",
        )


def _client_id(_instance: object, _field: object, value: str | None) -> None:
    if value is not None and not 2 <= len(octets(value)) <= 254:
        raise Invalid("value.length", "a client identifier has 2 to 254 octets", "expected 2 to 254 octets")


@attrs.frozen
class DHCPv4Client:
    """Acquires an IPv4 address with its routes and name servers by DHCP (RFC 2131), and keeps it."""

    interface: str = attrs.field(validator=NAME, metadata=_INTERFACE)
    hostname: str | None = attrs.field(
        default=None,
        validator=Matching(r"[!-~]{1,255}", 255, "a host name", "ASCII without spaces"),
        metadata=told("Host name to tell the server (option 12).", example="gateway"),
    )
    requested_address: IPv4Address | None = attrs.field(
        default=None,
        validator=_unicast,
        metadata=told("Address to ask for as long as no earlier lease is known (option 50).", example="192.0.2.17"),
    )
    class_id: str | None = attrs.field(
        default=None, validator=OPTION_TEXT, metadata=told("Vendor class (option 60), as text.", example="sagem")
    )
    client_id: str | None = attrs.field(
        default=None,
        validator=_client_id,
        metadata=told(
            "Client identifier (option 61): `0x…` or `01:02:…` are its octets as they are; other text is sent as "
            "type 0 and the text (RFC 2132 §9.14). It wins over `clientIDType`.",
            example="01:02:00:5e:10:00:01",
        ),
    )
    client_id_type: Literal["rfc4361", "mac"] = attrs.field(
        default="rfc4361",
        metadata=told(
            "The client identifier that is made when none is given: IAID and DUID as DHCPv6 uses them (RFC 4361), "
            "or the old form of hardware type and address. The one with which a lease was obtained is kept for life.",
        ),
    )
    use_routes: bool = attrs.field(
        default=True, metadata=told("Install the routes that the lease brings, the default route included.")
    )
    use_dns: bool = attrs.field(default=True, metadata=told("Let others use the name servers that the lease brings."))
    route_metric: int | None = attrs.field(
        default=None,
        validator=Between(0, 2**32 - 1),
        metadata=told(
            "Metric of those routes. Without it the clients count from 100 in the order of the file: the first is "
            "preferred.",
            example=100,
        ),
    )
    rapid_commit: bool = attrs.field(default=False, metadata=told("Offer to skip the OFFER (RFC 4039)."))
    offer_window: Duration = attrs.field(
        default=Duration(0.0),
        validator=AtMost(60),
        metadata=told(
            "How long to collect offers before one is chosen; 0s: the first valid one is taken.", example="2s"
        ),
    )
    conflict_detection: Literal["probe", "parallel", "skip"] = attrs.field(
        default="probe",
        metadata=told(
            "Whether somebody else already uses a fresh address (RFC 5227): find out first, find out while using it, "
            "or do not ask."
        ),
    )
    defend: Literal["always", "release"] = attrs.field(
        default="always",
        metadata=told(
            "What to do when somebody else claims the address twice within ten seconds: keep it, or give it up."
        ),
    )
    release_on_stop: bool = attrs.field(
        default=False,
        metadata=told(
            "Give the lease back when the client is stopped for good. A restart of routerd never gives it back."
        ),
    )
    dscp: int = attrs.field(
        default=0, validator=Between(0, 63), metadata=told("DSCP of every packet that the client sends.", example=48)
    )
    vlan_priority: int = attrs.field(
        default=0,
        validator=Between(0, 7),
        metadata=told("VLAN priority (PCP) of every frame that the client sends.", example=6),
    )
    request_options: tuple[int, ...] = attrs.field(
        default=(),
        validator=Each(OPTION_CODE, 64),
        metadata=told("Option codes to ask for beyond those that routerd asks for by itself.", example=[43, 125]),
    )
    send_options: tuple[SendOption, ...] = attrs.field(
        default=(),
        validator=each_once,
        metadata=told("Options to send as they are, with every message to the server."),
    )
    ipv6_only_preferred: bool = attrs.field(
        default=False,
        metadata=told(
            "This host can do without IPv4 (CLAT, NAT64): ask for option 108 and obey it (RFC 8925).",
        ),
    )
    force_renew: bool = attrs.field(
        default=False, metadata=told("Obey the server's FORCERENEW when it is authenticated (RFC 6704).")
    )
    minimum_mtu: int = attrs.field(
        default=576,
        validator=Between(68, 1500),
        metadata=told("Ignore an MTU (option 26) below this."),
    )
    when: When | None = attrs.field(default=None, metadata=HELD)

    def __attrs_post_init__(self) -> None:
        if self.class_id is not None and any(option.code == 60 for option in self.send_options):
            raise Invalid(
                "value.exclusive", "option 60 is among sendOptions too", "expected one of the two", field="classID"
            )

    @property
    def client_identifier(self) -> bytes | None:
        """Option 61 as given by the operator; None: to be made as `client_id_type` says."""
        if self.client_id is None:
            return None
        value = octets(self.client_id)
        return value if value != self.client_id.encode() else b"\0" + value
