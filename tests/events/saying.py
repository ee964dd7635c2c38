"""Something to say, and ways to read all of it."""

from __future__ import annotations

from typing import Any

import trio

from routerd.events.log import Log
from routerd.events.types import Event, Filter, Ref, Source, StoredEvent

WAN = Ref("DHCPv4Client", "wan")
LTE = Ref("DHCPv4Client", "lte")
CLIENT = Source("routerd-dhcpv4-client-wan", "routerd-dhcpv4-client", "wan")


def said(topic: str = "routerd.dhcpv4.client.lease.renewed", **fields: Any) -> Event:
    """An event of the client on `wan`; `fields` as Event has them."""
    return Event(topic, **{"resource": WAN, "source": CLIENT, "reason": "LeaseRenewed", **fields})


def numbered(*numbers: int) -> list[Event]:
    """Events whose message is their number."""
    return [said(message=str(number)) for number in numbers]


async def everything(log: Log, after: int = 0, where: Filter | None = None, limit: int = 100) -> list[StoredEvent]:
    """All events after `after`, page by page."""
    await trio.lowlevel.checkpoint()
    found: list[StoredEvent] = []
    while after < log.newest:
        page = await log.read(after, limit=limit, where=where or Filter())
        found += page.events
        after = page.cursor
    return found


async def topics(log: Log) -> list[str]:
    """The topics of all events."""
    return [stored.event.topic for stored in await everything(log)]
