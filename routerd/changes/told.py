"""What is written down of a change: its events, the record of its generation, the status of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from routerd.api.change import Terms
from routerd.changes.generations import Generations, Record
from routerd.config import Router
from routerd.config.diff import diff
from routerd.events.log import Log
from routerd.events.types import Event, Ref, Source, Status, ref_of


@attrs.frozen
class Telling:
    """An event beside those that every change has: what kind of change it was."""

    topic: str
    reason: str
    message: str
    attributes: dict[str, str] = attrs.field(factory=dict)
    restores: int | None = None
    """The generation back to which it goes."""


@attrs.frozen
class Teller:
    """Says it all in the name of `source`. `path` is the configuration's file."""

    log: Log
    generations: Generations
    source: Source
    path: str

    def applied(self, router: Router, number: int, terms: Terms) -> Event:
        """It is in force."""
        words = f"configuration generation {number} is in force: {len(router.resources)} resources from {self.path}"
        return self._event("applied", "ConfigurationApplied", words, router, number, terms)

    def committed(self, router: Router, number: int, terms: Terms) -> Event:
        """It is in the file, and nothing more."""
        words = f"configuration generation {number} is written; it waits to be loaded"
        return self._event("committed", "ConfigurationCommitted", words, router, number, terms)

    def beside(self, telling: Telling | None, number: int, terms: Terms) -> list[Event]:
        """What kind of change it was, after the event that it is."""
        if telling is None:
            return []
        event = Event(
            f"routerd.configuration.{telling.topic}",
            reason=telling.reason,
            message=telling.message,
            source=self.source,
            generation=number,
            actor=terms.actor,
            causes=terms.causes,
            follows=(1,),
            attributes={"generation": str(number), **telling.attributes},
        )
        return [event]

    def status(self, router: Router, number: int) -> dict[Ref, Status]:
        """Of the configuration itself, in force."""
        status = {
            "phase": "Applied",
            "generation": number,
            "observedGeneration": number,
            "digest": self.generations.hash_of(router),
            "resourceCount": len(router.resources),
        }
        return {ref_of(router): status}

    def namesakes(self, router: Router) -> list[Ref]:
        """Configurations of another name: they are not there any more."""
        return [one.ref for one in self.log.objects.of_kind("Router") if one.ref != ref_of(router)]

    def record(
        self, router: Router, number: int, predecessor: Router | None, terms: Terms, restores: int | None = None
    ) -> Record:
        """Of a new generation, compared with the one before it, if that is at hand."""
        now = self.log.now()
        return Record(
            number,
            now,
            "Committed",
            self.generations.hash_of(router),
            terms.actor,
            len(router.resources),
            now if terms.no_reconcile else None,
            restores=restores,
            **({} if predecessor is None else _counted(predecessor, router)),
        )

    def _event(self, word: str, reason: str, message: str, router: Router, number: int, terms: Terms) -> Event:
        attributes = {"generation": str(number), "digest": self.generations.hash_of(router), "path": self.path}
        return Event(
            f"routerd.configuration.{word}",
            reason=reason,
            message=message,
            resource=ref_of(router),
            source=self.source,
            generation=number,
            actor=terms.actor,
            causes=terms.causes,
            attributes=attributes,
        )


def _counted(before: Router, after: Router) -> Mapping[str, Any]:
    found = [one.change for one in diff(before, after)]
    return {"added": found.count("added"), "changed": found.count("changed"), "removed": found.count("removed")}
