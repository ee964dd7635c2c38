"""Durable consumers: how far each has read, and what it must know to go on. A map in memory, changed only together with
the events that they said about what they had read."""

from __future__ import annotations

from collections.abc import Mapping

from routerd.events.types import Consumer


class Consumers:
    """A consumer's place is seen here once it is on disk (or at once, while the log is degraded). Retention waits for
    none of them: one that comes too late is told by `Page.lost`."""

    def __init__(self) -> None:
        self._consumers: dict[str, Consumer] = {}

    def get(self, name: str) -> Consumer | None:
        """The consumer, if it has ever said how far it is."""
        return self._consumers.get(name)

    def all(self) -> list[Consumer]:
        """All of them, by name."""
        return sorted(self._consumers.values(), key=lambda consumer: consumer.name)

    def apply(self, changes: Mapping[str, Consumer | None]) -> None:
        """For the log alone: what is new, what is different, and (None) what is gone."""
        for name, consumer in changes.items():
            if consumer is None:
                self._consumers.pop(name, None)
            else:
                self._consumers[name] = consumer
