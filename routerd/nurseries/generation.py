"""The configuration's generation: a number that goes up when the configuration really differs; the store keeps it."""

from __future__ import annotations

import time

from routerd.api.plane import Running
from routerd.config import Router
from routerd.events.log import Log
from routerd.events.types import Event, Ref, Source


async def begin_generation(log: Log, router: Router, path: str, source: Source) -> Running:
    """Put `router` in force: the same configuration keeps its number, also over a restart; no event for a no-op."""
    ref = Ref("Router", router.name, "routerd.net/v1alpha1")
    stored = log.objects.get(ref)
    before = stored.status if stored is not None else {}
    highest = max((o.status.get("generation", 0) for o in log.objects.all() if o.ref.kind == "Router"), default=0)
    now = time.time_ns()
    if before.get("digest") == router.digest:
        return Running(router, before["generation"], now, path)
    generation = highest + 1
    status = {
        "phase": "Applied",
        "generation": generation,
        "observedGeneration": generation,
        "digest": router.digest,
        "resourceCount": len(router.resources),
    }
    message = f"configuration generation {generation} is in force: {len(router.resources)} resources from {path}"
    event = Event(
        "routerd.configuration.applied",
        reason="ConfigurationApplied",
        message=message,
        resource=ref,
        source=source,
        generation=generation,
        attributes={"generation": str(generation), "digest": router.digest, "path": path},
    )
    await log.append(event, status={ref: status})
    return Running(router, generation, now, path)
