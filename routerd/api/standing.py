"""What the API says of a resource beyond its stored status: on whose behalf it exists, who looks after it, and of the
configuration itself that a file waits which is not in force. This follows from the configuration: nobody stores it."""

from __future__ import annotations

from typing import Any

from routerd.api.plane import Running
from routerd.events.types import Status
from routerd.resources.net import Interface
from routerd.resources.resource import Resource
from routerd.shapes.convert import to_wire


def document_status(running: Running, status: Status) -> Status:
    """The status of the configuration itself: `Degraded` while there is a file that cannot be put in force."""
    if running.pending_error is None:
        return status
    message, _, _ = running.pending_error.partition("\n")
    return {**status, "phase": "Degraded", "reason": "ConfigurationInvalid", "message": message}


def decoration(declared: Resource[Any]) -> Status:
    """What contract §3.5 adds to a status, as far as it can be said: whose it is, and whether routerd brings it
    about."""
    owners = {"ownerRefs": to_wire(declared.owner_refs)} if declared.owner_refs else {}
    spec = declared.spec
    if isinstance(spec, Interface) and (spec.owner == "external" or not spec.managed):
        return {**owners, "managedBy": "external"}
    return {**owners, "managedBy": "routerd", "management": "managed"}
