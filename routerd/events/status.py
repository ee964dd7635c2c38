"""The shape of a status (contract §2.1): its conditions, and whether one says other than before."""

from __future__ import annotations

from typing import Any

from routerd.events.types import Status


def differs(stored: Status | None, status: Status) -> bool:
    """Would storing `status` change anything? (The store adds lastTransitionTime to conditions by itself.)"""
    return stored is None or _bare(stored) != _bare(status)


def _bare(status: Status) -> dict[str, Any]:
    conditions = [
        {key: value for key, value in condition.items() if key != "lastTransitionTime"}
        for condition in status.get("conditions", ())
    ]
    return {**status, "conditions": conditions}


def condition(kind: str, holds: bool | None, reason: str, generation: int, message: str = "") -> dict[str, Any]:
    """A condition as contract §2.1 has it; `holds` None: Unknown."""
    value: dict[str, Any] = {
        "type": kind,
        "status": "Unknown" if holds is None else str(holds),
        "reason": reason,
        "observedGeneration": generation,
    }
    return {**value, "message": message} if message else value
