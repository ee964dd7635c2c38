"""The endpoints of a Linux host, as the seam wants them. Chosen, like the host, in `routerd.nurseries.system`."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from routerd.endpoints import Datagram6Endpoint, DatagramEndpoint, Marking, NdpEndpoint, PacketEndpoint, Tap
from routerd.endpoints.ndp import open_ndp
from routerd.endpoints.packet_linux import open_packet
from routerd.endpoints.udp import open_dhcpv4
from routerd.endpoints.udp6 import open_dhcpv6


class LinuxEndpoints:
    """`routerd.endpoints.Endpoints`. Needs CAP_NET_RAW, and CAP_NET_BIND_SERVICE for ports 68 and 546."""

    def open_packet(
        self, index: int, name: str, tap: Tap, marking: Marking
    ) -> AbstractAsyncContextManager[PacketEndpoint]:
        """See `Endpoints`."""
        return open_packet(index, name, tap, marking)

    def open_dhcpv4(self, index: int, name: str, marking: Marking) -> AbstractAsyncContextManager[DatagramEndpoint]:
        """See `Endpoints`."""
        return open_dhcpv4(index, name, marking)

    def open_dhcpv6(self, index: int, name: str, marking: Marking) -> AbstractAsyncContextManager[Datagram6Endpoint]:
        """See `Endpoints`."""
        return open_dhcpv6(index, name, marking)

    def open_ndp(self, index: int, name: str, marking: Marking) -> AbstractAsyncContextManager[NdpEndpoint]:
        """See `Endpoints`."""
        return open_ndp(index, name, marking)
