"""What the API may see and ask of the running router: the seam to `routerd.nurseries`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import attrs

from routerd.events.types import Source, Status

if TYPE_CHECKING:
    from routerd.api.change import Changes, Commits
    from routerd.api.traffic import Traffic
    from routerd.config import Router
    from routerd.events.log import Log

Level = Literal["debug", "info", "warning", "error"]
"""Of the process's log."""
DaemonPhase = Literal["Starting", "Running", "Blocked", "Draining", "Stopped"]
Health = Literal["ok", "degraded", "failed", "unknown"]


@attrs.frozen
class ControllerReport:
    """What one controller measured of itself. Instants are wall-clock ns, durations seconds; None: never.
    The wire shape is contract §1.4, ControllerStatus."""

    name: str
    resource_kinds: tuple[str, ...]
    mode: str = "live"
    reason: str = "Live"
    message: str = "controller is reconciling declared router state"
    interval: float | None = None
    last_trigger: str | None = None
    last_reconcile: int | None = None
    last_success: int | None = None
    last_reload: int | None = None
    last_restart: int | None = None
    last_change_reason: str | None = None
    next_reconcile: int | None = None
    reconciles: int = 0
    errors: int = 0
    consecutive_errors: int = 0
    last_duration: float | None = None
    max_duration: float | None = None
    max_duration_at: int | None = None
    total_duration: float = 0.0
    last_error: str | None = None
    last_error_at: int | None = None
    last_error_cleared_at: int | None = None
    history: tuple[ReconcileError, ...] = ()


@attrs.frozen
class ReconcileError:
    """One failed reconcile (the last 20 are kept, in memory only)."""

    started_at: int
    completed_at: int
    duration: float
    error: str
    trigger: str | None = None
    resource_kind: str | None = None
    resource_name: str | None = None


@attrs.frozen
class CommandEnd:
    """How a daemon command ended (contract rule 7). `accepted` False: refused by the daemon's state (409).
    `pending`: it had not ended within `wait`; `event_id` is then the event that began it, else the one that ended it.
    `succeeded` is None while pending."""

    accepted: bool
    message: str
    event_id: int
    pending: bool = False
    succeeded: bool | None = None
    hint: str = ""
    """What to do instead, if it was refused."""


@attrs.frozen
class Packets:
    """How many packets a daemon has sent, received, and ignored or lost (by the reason, a word of a fixed set)."""

    sent: int = 0
    received: int = 0
    dropped: Mapping[str, int] = attrs.field(factory=dict)


@attrs.define
class Exports:
    """What a Telemetry has sent since the process began: events that the collector has, that it refused for good
    (`rejected`), and that were passed over (`dropped`) because it did not answer; reports of metrics; requests that
    failed."""

    events: int = 0
    rejected: int = 0
    dropped: int = 0
    reports: int = 0
    failures: int = 0


class UnknownCommand(Exception):
    """This daemon does not have that command (501); `known` are those that it has."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        super().__init__(name)
        self.known = sorted(known)


class Daemon(Protocol):
    """One managed daemon, as the API sees it."""

    source: Source
    api_version: str
    """Of its resource."""
    resource_kind: str
    directory: str
    """Its sockets' folder: `dhcpv4-client`."""

    @property
    def phase(self) -> DaemonPhase: ...
    @property
    def health(self) -> Health: ...
    @property
    def since(self) -> int:
        """Since when in this phase, wall-clock ns."""

    @property
    def observed(self) -> Mapping[str, str]:
        """Contract §2.3 `observed`: all values are text."""

    @property
    def unhealthy_reason(self) -> str | None:
        """A sentence when `/v1/healthz` must answer 503, else None."""

    @property
    def packets(self) -> Packets:
        """What it has sent and received since the process began."""

    @property
    def detail(self) -> str:
        """What there is to say of it at present, whether it is well or not."""

    async def command(
        self, name: str, attributes: Mapping[str, str], wait: float, actor: str, cause: int = 0
    ) -> CommandEnd:
        """Run a command to its end, at most `wait` seconds. `cause` is the event of the request (0: none). Raises
        UnknownCommand."""


@attrs.frozen
class Check:
    """One line of /livez or /readyz."""

    name: str
    ok: bool
    detail: str = ""


@attrs.frozen
class Running:
    """The configuration in force. `applied_at` ns; `pending_error`: why the file on disk is not in force; `waiting`:
    the generation that is written and not loaded yet."""

    router: Router
    generation: int
    applied_at: int
    config_path: str
    pending_error: str | None = None
    waiting: int | None = None


class Verbosity(Protocol):
    """How much the process's log tells."""

    @property
    def level(self) -> str:
        """At present."""

    @property
    def until(self) -> int | None:
        """When it falls back by itself, wall-clock ns; None: not by itself."""

    async def choose(self, level: Level | None, seconds: float | None, actor: str, causes: tuple[int, ...]) -> int:
        """Another level, for so long (None: without an end); level None: as at the start. The id of the event."""


class Plane(Protocol):
    """The running router."""

    log: Log
    changes: Changes
    traffic: Traffic
    run_dir: str
    state_dir: str
    host_name: str
    started_at: int

    @property
    def verbosity(self) -> Verbosity: ...
    @property
    def commits(self) -> Commits: ...
    @property
    def running(self) -> Running: ...
    @property
    def controllers(self) -> Sequence[ControllerReport]: ...
    @property
    def exports(self) -> Mapping[str, Exports]:
        """By name of the Telemetry."""

    @property
    def daemons(self) -> Mapping[str, Daemon]:
        """By `directory/instance`, e.g. `dhcpv4-client/wan`."""

    def live(self) -> Sequence[Check]:
        """Is this process worth keeping: event-loop lag, log writer."""

    def ready(self) -> Sequence[Check]:
        """Is the router doing its job: configuration, log, daemons, controllers."""

    def runtime(self) -> Status:
        """`loopLagMillis`, `tasks`, … as far as only the root knows them."""
