"""One resource of a DHCP client that has several, as a daemon of its own: what its socket answers. All of them are one
client's, and so are the commands; what is told and observed is the resource's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from routerd.api.plane import CommandEnd, DaemonPhase, Health, Packets
from routerd.events.types import Ref

if TYPE_CHECKING:
    from routerd.daemons.dhcp_daemon import DhcpDaemon


class Facet:
    """See the module; the public face is `routerd.api.plane.Daemon`."""

    def __init__(self, client: DhcpDaemon[Any], ref: Ref) -> None:
        self._client = client
        self._ref = ref
        self.source = attrs.evolve(client.source, instance=ref.name)
        self.api_version = ref.api_version
        self.resource_kind = ref.kind
        self.directory = client.directory

    @property
    def phase(self) -> DaemonPhase:
        """See Daemon."""
        return self._client.phase

    @property
    def health(self) -> Health:
        """See Daemon."""
        return self._client.health

    @property
    def since(self) -> int:
        """See Daemon."""
        return self._client.since

    @property
    def unhealthy_reason(self) -> str | None:
        """See Daemon."""
        return self._client.unhealthy_reason

    @property
    def detail(self) -> str:
        """See Daemon."""
        return self._client.detail

    @property
    def observed(self) -> Mapping[str, str]:
        """See Daemon."""
        return self._client.observed_of(self._ref)

    @property
    def packets(self) -> Packets:
        """See Daemon."""
        return self._client.packets

    async def command(
        self, name: str, attributes: Mapping[str, str], wait: float, actor: str, cause: int = 0
    ) -> CommandEnd:
        """See Daemon."""
        return await self._client.command(name, attributes, wait, actor, cause)
