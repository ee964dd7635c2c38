"""The endpoints of a Linux host, as the seam wants them. Chosen, like the host, in `routerd.__main__`."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from routerd.endpoints import DatagramEndpoint, Marking, PacketEndpoint, Tap
from routerd.endpoints.packet_linux import open_packet
from routerd.endpoints.udp import open_dhcpv4


class LinuxEndpoints:
    """`routerd.endpoints.Endpoints`. Needs CAP_NET_RAW, and CAP_NET_BIND_SERVICE for port 68."""

    def open_packet(
        self, index: int, name: str, tap: Tap, marking: Marking
    ) -> AbstractAsyncContextManager[PacketEndpoint]:
        """See `Endpoints`."""
        return open_packet(index, name, tap, marking)

    def open_dhcpv4(self, index: int, name: str, marking: Marking) -> AbstractAsyncContextManager[DatagramEndpoint]:
        """See `Endpoints`."""
        return open_dhcpv4(index, name, marking)
