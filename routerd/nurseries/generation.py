"""The configuration's generation: a number that goes up when the configuration really differs; the store keeps it.

Whether it differs is seen by a digest, which any local user can read and a configuration may hold secrets that can be
guessed: so it is made with a key that only we can read.
"""

from __future__ import annotations

import hmac
import logging
import os
import secrets
from pathlib import Path

from routerd.api.plane import Running
from routerd.config import Router
from routerd.events.log import Log
from routerd.events.types import Event, Ref, Source

logger = logging.getLogger("routerd")

KEY_OCTETS = 32


async def begin_generation(log: Log, router: Router, path: str, source: Source, key: bytes) -> Running:
    """Put `router` in force: the same configuration keeps its number, also over a restart; no event for a no-op.
    `key` is the state directory's (`generation_key`)."""
    digest = "hmac-sha256:" + hmac.digest(key, router.digest.encode(), "sha256").hex()
    ref = Ref("Router", router.name, "routerd.net/v1alpha1")
    stored = log.objects.get(ref)
    before = stored.status if stored is not None else {}
    known = log.objects.of_kind("Router")
    highest = max((one.status.get("generation", 0) for one in known), default=0)
    now = log.now()
    if before.get("digest") == digest:
        return Running(router, before["generation"], now, path)
    generation = highest + 1
    status = {
        "phase": "Applied",
        "generation": generation,
        "observedGeneration": generation,
        "digest": digest,
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
        attributes={"generation": str(generation), "digest": digest, "path": path},
    )
    # A router that had another name until now is not there any more.
    await log.append(event, status={ref: status}, gone=[one.ref for one in known if one.ref != ref])
    return Running(router, generation, now, path)


def generation_key(state_dir: Path) -> bytes:
    """The key of `state_dir`, made at the first start and readable for us alone. Blocks on the disk.

    Without a disk to keep it there is one for this life, and the next has a new generation: no reason not to start.
    """
    path = state_dir / "generation.key"
    try:
        key = path.read_bytes() if path.exists() else b""
        if len(key) != KEY_OCTETS:
            key = secrets.token_bytes(KEY_OCTETS)
            _keep(path, key)
    except OSError as error:
        logger.warning("%s cannot be used: %s; the next start begins a new generation", path, error.strerror)
        return secrets.token_bytes(KEY_OCTETS)
    return key


def _keep(path: Path, key: bytes) -> None:
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(key)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
