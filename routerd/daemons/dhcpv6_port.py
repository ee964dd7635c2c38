"""The socket of one DHCPv6 client on one link: octets in become inputs, `Send` becomes octets; and what a firewall must
let in for it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import trio

from routerd.daemons.named_link import DELETED
from routerd.endpoints import Datagram6Endpoint, Endpoints, Marking
from routerd.host import Link
from routerd.protocols.dhcpv6 import wire
from routerd.protocols.dhcpv6.inputs import Input, Received
from routerd.protocols.dhcpv6.message import ALL_SERVERS, CLIENT_PORT, SERVER_PORT
from routerd.protocols.dhcpv6.outputs import Send
from routerd.protocols.malformed import Malformed

SOURCES = ("fe80::/10", "2000::/3")
"""Where servers and relays answer from: most from a link-local address, some from a global one (V6-4)."""

Deliver = Callable[[Input], None]
Drop = Callable[[str], None]


def input_rule(ifname: str) -> dict[str, Any]:
    """What a firewall must accept that the client of this interface hears its servers (V6-44), from any port.

    Connection tracking is no help: the request was a multicast, and its answer belongs to no flow that it knows."""
    return {
        "direction": "input",
        "family": "ipv6",
        "protocol": "udp",
        "interface": ifname,
        "sources": list(SOURCES),
        "destination": "fe80::/10",
        "destinationPort": CLIENT_PORT,
        "tracked": False,
    }


class Port:
    """Open for one identity of a link (index and MAC); a new identity gets a new one (C14). It stays open in every
    state, so that the kernel sends no ICMPv6 port-unreachable to a server that is late."""

    def __init__(self, endpoints: Endpoints, link: Link, marking: Marking, deliver: Deliver, drop: Drop) -> None:
        self._endpoints = endpoints
        self._link = link
        self._marking = marking
        self._deliver = deliver
        self._drop = drop
        self._scope = trio.CancelScope()
        self._udp: Datagram6Endpoint | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hold the socket until `close`, cancellation, or the link's end. Raises OSError when we may not."""
        opening = self._endpoints.open_dhcpv6(self._link.index, self._link.name, self._marking)
        with self._scope:
            async with opening as self._udp:
                task_status.started()
                try:
                    await self._read(self._udp)
                except OSError as error:
                    if error.errno not in DELETED:
                        raise
                finally:
                    self._udp = None

    def close(self) -> None:
        """End `run`."""
        self._scope.cancel()

    async def send(self, output: Send) -> None:
        """Put a message on the link, to all servers (V6-3). Raises OSError."""
        await trio.lowlevel.checkpoint()
        if self._udp is None:
            raise OSError(errno.ENODEV, "the interface is gone")
        await self._udp.send(wire.encode(output.message), output.source, ALL_SERVERS, SERVER_PORT)

    async def _read(self, udp: Datagram6Endpoint) -> None:
        while True:
            datagram = await udp.receive()
            message = wire.decode(datagram.payload)
            if isinstance(message, Malformed):
                self._drop(message.reason)
                continue
            unicast = not datagram.destination.is_multicast
            self._deliver(Received(message, datagram.source, datagram.source_port, unicast))
