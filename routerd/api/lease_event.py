"""`POST /dhcp-lease-event`: a DHCP server beside us (dnsmasq by its script, a relay) tells of a lease on the LAN: an
event (contract §1.9)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal

import attrs
from quart.wrappers import Response

from routerd.api.body import body_of
from routerd.api.operation import Call, answer
from routerd.api.wire import CONTROL, ControlVersion, encode
from routerd.events.types import Event, Source
from routerd.shapes.invalid import Invalid
from routerd.shapes.limits import Matching

RELAY = Source("routerd-dhcp-event-relay", "routerd-dhcp-event-relay", "api")

MAC = Matching(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}", 17, "an Ethernet address", "02:00:5e:10:00:01")
HOSTNAME = Matching(r"[!-~]{1,255}", 255, "a host name", "ASCII without spaces")
IFNAME = Matching(r"[!-.0-9;-~]{1,15}", 15, "an interface name", "1 to 15 characters, no space, / or :")


def _address(_instance: object, _field: object, value: str) -> None:
    try:
        ip_address(value)
    except ValueError:
        raise Invalid("value.address", f"{value[:60]!r} is not an IP address", "expected an IP address") from None


@attrs.frozen
class DHCPLeaseEvent:
    """`POST /dhcp-lease-event`."""

    action: Literal["added", "renewed", "removed"]
    ip: str = attrs.field(validator=_address)
    mac: str | None = attrs.field(default=None, validator=MAC)
    hostname: str | None = attrs.field(default=None, validator=HOSTNAME)
    interface: str | None = attrs.field(default=None, validator=IFNAME)
    api_version: ControlVersion | None = None
    kind: Literal["DHCPLeaseEvent"] | None = None

    @property
    def address(self) -> IPv4Address | IPv6Address:
        """The leased address."""
        return ip_address(self.ip)

    @property
    def attributes(self) -> dict[str, str]:
        """What is told of it."""
        told = {
            "mac": self.mac.lower() if self.mac else None,
            "ip": str(self.address),
            "hostname": self.hostname,
            "interface": self.interface,
        }
        return {name: value for name, value in told.items() if value is not None}


@attrs.frozen(kw_only=True)
class DHCPLeaseEventResult:
    """It is in the log: `eventId`."""

    api_version: ControlVersion = CONTROL
    kind: Literal["DHCPLeaseEventResult"] = "DHCPLeaseEventResult"
    accepted: Literal[True] = True
    event_id: int = attrs.field(metadata={"name": "eventId"})


async def post_lease_event(call: Call) -> Response:
    """`POST /dhcp-lease-event`. On disk when it is answered."""
    lease = await body_of(call, DHCPLeaseEvent)
    who = lease.hostname or lease.mac or "somebody"
    event = Event(
        f"routerd.dhcp.lease.{lease.action}",
        reason=f"Lease{lease.action.capitalize()}",
        message=f"{lease.address} {lease.action} for {who}",
        source=RELAY,
        attributes=lease.attributes,
        causes=(call.act.began,),
        actor=call.client.actor,
    )
    (number,) = await call.plane.log.append(event)
    call.act.led_to = (number,)
    return answer(encode(DHCPLeaseEventResult(event_id=number)))
