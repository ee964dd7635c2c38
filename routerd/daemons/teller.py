"""Who speaks, of what, under which topics: how a daemon's events are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from routerd.events.types import Event, Ref, Severity, Source


@attrs.frozen
class Teller:
    """Of a daemon, whose topics begin with `prefix`. What it tells is about `resource`; of one that has several,
    `owners` says which of them asks for what."""

    prefix: str
    resource: Ref
    source: Source
    owners: Mapping[Any, Ref] = attrs.field(factory=dict)

    def __call__(self, topic: str, reason: str, message: str, severity: Severity = "info", **facts: Any) -> Event:
        """An event; `topic` without its prefix, facts that are None are left out."""
        told = {key: str(value) for key, value in facts.items() if value is not None}
        return Event(f"{self.prefix}.{topic}", severity, reason, message, self.resource, self.source, told)

    def of(self, about: object) -> Teller:
        """Who tells of the resource that asks for this."""
        return attrs.evolve(self, resource=self.owners.get(about, self.resource))

    def lifecycle(self, word: str, message: str, *causes: int) -> Event:
        """The event of a step in the daemon's own life."""
        topic = f"routerd.daemon.lifecycle.{word}"
        return Event(topic, "info", word.capitalize(), message, self.resource, self.source, causes=causes)
