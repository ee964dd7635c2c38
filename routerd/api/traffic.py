"""What goes over the API's sockets, counted: requests by operation and status, connections, streams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from routerd.api.access import SocketKind
from routerd.api.server import Server

UNKNOWN = "unknown"
"""What a request is called that no operation answers."""


@attrs.define(eq=False)
class Traffic:
    """Of all sockets of the process, since start. `requests` by operation (`GET /events`) and HTTP status: those that
    were answered."""

    requests: Counter[tuple[str, int]] = attrs.field(factory=Counter)
    _servers: list[tuple[SocketKind, Server]] = attrs.field(factory=list)
    _turned_away: Counter[SocketKind] = attrs.field(factory=Counter)
    """By servers that have ended."""

    @contextmanager
    def serving(self, kind: SocketKind, server: Server) -> Iterator[None]:
        """Count what it does, meanwhile."""
        self._servers.append((kind, server))
        try:
            yield
        finally:
            self._servers.remove((kind, server))
            self._turned_away[kind] += server.turned_away

    @property
    def connections(self) -> Counter[SocketKind]:
        """Open ones."""
        return self._sum("connections")

    @property
    def streams(self) -> Counter[SocketKind]:
        """Event streams that are open."""
        return self._sum("streams")

    @property
    def turned_away(self) -> Counter[SocketKind]:
        """Connections that were one too many."""
        return self._turned_away + self._sum("turned_away")

    def _sum(self, what: str) -> Counter[SocketKind]:
        total: Counter[SocketKind] = Counter()
        for kind, server in self._servers:
            total[kind] += getattr(server, what)
        return total
