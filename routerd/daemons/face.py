"""One resource of a managed daemon, as the API sees it: what its socket answers. A daemon has one for each of its
resources; life and commands are the daemon's, what is observed is the resource's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

import attrs

from routerd.api.plane import CommandEnd, DaemonPhase, Health, Packets
from routerd.daemons.inbox import Inbox
from routerd.daemons.lifetime import Standing
from routerd.daemons.scribe import Scribe
from routerd.events.types import Ref, Source


class Behind(Protocol):
    """The daemon behind it."""

    source: Source
    directory: str
    standing: Standing
    inbox: Inbox
    scribe: Scribe
    sent: int
    """Packets."""

    @property
    def is_well(self) -> bool:
        """Whether it has, or does, all that is wanted of it."""

    @property
    def is_stopped(self) -> bool:
        """By command."""

    @property
    def trouble(self) -> str | None:
        """What went wrong last."""

    def observed(self, ref: Ref) -> Mapping[str, Any]:
        """What of the status of this resource is for `observed`."""

    async def command(self, name: str, wait: float, actor: str, cause: int) -> CommandEnd: ...


class Face:
    """See the module; this is `routerd.api.plane.Daemon`."""

    def __init__(self, behind: Behind, ref: Ref) -> None:
        self._behind = behind
        self._ref = ref
        self.source = attrs.evolve(behind.source, instance=ref.name)
        self.api_version = ref.api_version
        self.resource_kind = ref.kind
        self.directory = behind.directory

    @property
    def phase(self) -> DaemonPhase:
        """See Daemon."""
        return self._behind.standing.phase

    @property
    def since(self) -> int:
        """See Daemon."""
        return self._behind.standing.since

    @property
    def health(self) -> Health:
        """ok with all that is wanted; degraded without; failed while crashing."""
        if self.phase != "Running":
            return "failed" if self.phase == "Blocked" else "unknown"
        return "ok" if self._behind.is_well else "degraded"

    @property
    def unhealthy_reason(self) -> str | None:
        """See Daemon: only one that cannot do its work is unhealthy, not one whose peer is away."""
        return None if self.phase == "Running" else f"{self.phase}: {self._behind.trouble or 'not yet running'}"

    @property
    def detail(self) -> str:
        """See Daemon."""
        if self.phase == "Running" and self._behind.is_stopped:
            return "stopped by command"
        return self.unhealthy_reason or self.phase

    @property
    def observed(self) -> Mapping[str, str]:
        """See Daemon."""
        unwritten = Counter(events=self._behind.scribe.dropped)
        return texts_of(self._behind.observed(self._ref), self._behind.inbox.dropped + unwritten)

    @property
    def packets(self) -> Packets:
        """See Daemon. A packet that was none of its protocol at all is dropped, and not received."""
        behind = self._behind
        return Packets(behind.sent, behind.inbox.received, dict(behind.inbox.dropped))

    async def command(
        self, name: str, attributes: Mapping[str, str], wait: float, actor: str, cause: int = 0
    ) -> CommandEnd:
        """See Daemon. None of them takes attributes; each is about all of the daemon's resources."""
        return await self._behind.command(name, wait, actor, cause)


def texts_of(seen: Mapping[str, Any], dropped: Mapping[str, int]) -> dict[str, str]:
    """`observed` as the contract has it, all text: what is none is JSON."""
    told = {**seen, **({"dropped": dict(sorted(dropped.items()))} if dropped else {})}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in told.items()}
