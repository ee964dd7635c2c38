"""What an event is, before and after it is on disk, and the state of an object that it changes.

An event is a plain fact: topic, severity, a reason word, a sentence, whom it concerns, who says it, what
caused it. `contract.md` §1.7 and §2.1 give its shapes on the wire; `routerd.api` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import attrs
import orjson

Severity = Literal["debug", "info", "warning", "error"]
SEVERITIES: tuple[Severity, ...] = ("debug", "info", "warning", "error")

Status = Mapping[str, Any]
"""Status of an object as JSON-able values, keys in camelCase, `phase` among them. Never holds a secret."""


@attrs.frozen
class Ref:
    """A resource: `Kind/name`."""

    kind: str
    name: str
    api_version: str = "net.routerd.net/v1alpha1"

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


class Named(Protocol):
    """Whatever has a kind and a name: a declared resource."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def api_version(self) -> str: ...


def ref_of(resource: Named) -> Ref:
    """The reference by which the log and the object store know a resource."""
    return Ref(resource.kind, resource.name, resource.api_version)


@attrs.frozen
class Source:
    """The daemon or controller that says it. `kind` like `routerd-dhcpv4-client`, `name` like
    `routerd-dhcpv4-client-wan`, `instance` like `wan`."""

    name: str
    kind: str
    instance: str = ""


@attrs.frozen
class Event:
    """One fact, not yet on disk. `time` is when it happened (ns since 1970, wall clock, display only);
    0: when it is appended, by the log's clock.

    `causes` are ids of earlier events; `follows` says in how many earlier events of the same `append` call
    causes stand too (1: the one just before). `actor` is who wanted it: `routerd`, or a local user such as
    `uid=1000 pid=4711 /usr/bin/routerctl request=01J8…`.
    """

    topic: str
    severity: Severity = "info"
    reason: str = ""
    message: str = ""
    resource: Ref | None = None
    source: Source | None = None
    attributes: Mapping[str, str] = attrs.field(factory=dict)
    causes: tuple[int, ...] = ()
    follows: tuple[int, ...] = ()
    actor: str = "routerd"
    generation: int | None = None
    time: int = 0


@attrs.frozen
class StoredEvent:
    """An event on disk. Ids ascend within a log epoch, without reuse. `source_cursor` counts the events of
    one source (`event.source.name`) from 1 and never goes back, not even when the log is rebuilt."""

    id: int
    created_at: int
    event: Event
    source_cursor: int | None = None


@attrs.frozen
class StoredObject:
    """An object's last status. `version` is the id of the event that last changed it (its ETag)."""

    ref: Ref
    status: Status
    version: int
    changed_at: int


@attrs.frozen
class Consumed:
    """How far a durable consumer has read, and what it must know to go on from there (JSON-able, no secret)."""

    cursor: int
    state: Any = None


@attrs.frozen
class Consumer:
    """A durable consumer as it stands. `updated_at` is when it last said so (ns since 1970); `json` is its state, which
    may be long and is read once in a life."""

    name: str
    cursor: int
    updated_at: int
    json: str = "null"

    @property
    def state(self) -> Any:
        """What it must know to go on."""
        return orjson.loads(self.json)


@attrs.frozen
class Filter:
    """Which events a reader wants; empty fields do not restrict. `topics` are globs (`*` one segment, `**` any)."""

    topics: tuple[str, ...] = ()
    resource: Ref | None = None
    kind: str | None = None
    name: str | None = None
    source: str | None = None
    severity: Severity = "debug"


@attrs.frozen
class Page:
    """Events after a cursor, ascending. `cursor` is where to go on (the last row looked at, matching or not);
    `lost` counts rows after the asked cursor that retention or a fault took before they were read."""

    epoch: str
    events: tuple[StoredEvent, ...]
    cursor: int
    oldest: int
    newest: int
    lost: int
