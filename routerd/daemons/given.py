"""What the router gives every one of its daemons: the host, the line, the log, and what is in force."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import trio

from routerd.endpoints import Endpoints
from routerd.events.incidents import Incidents
from routerd.events.log import Log
from routerd.events.writer import Runner
from routerd.host import Host


@attrs.frozen(kw_only=True)
class Given:
    """See the module. `began` is the event for which a daemon runs at all, when nothing else has started it;
    `generation` that of the configuration in force; `reload` has the configuration read again for an actor, because of
    an event; `rng` has all randomness of the protocols."""

    host: Host
    endpoints: Endpoints
    log: Log
    incidents: Incidents
    began: Callable[[], int]
    state_dir: Path
    generation: Callable[[], int]
    reload: Callable[[str, int], Awaitable[str | None]]
    run_sync: Runner = trio.to_thread.run_sync
    rng: random.Random
