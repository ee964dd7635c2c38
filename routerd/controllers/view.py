"""Everything a controller may look at, at one moment. Whatever `plan` and `judge` say follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from routerd.config import Router
from routerd.controllers.gate import Admission
from routerd.controllers.picture import Picture
from routerd.events.incidents import Incidents
from routerd.events.types import Ref, Status, ref_of


@attrs.frozen
class View:
    """See the module. `now` is on the host's clock; `versions` has the id of the
    event that last changed an object. `router` has what is let in by the gate, `declared` all there is."""

    router: Router
    generation: int
    objects: Mapping[Ref, Status]
    picture: Picture
    now: float
    versions: Mapping[Ref, int] = attrs.field(factory=dict)
    incidents: Incidents = attrs.field(factory=Incidents)
    admission: Admission = attrs.field(default=attrs.Factory(lambda self: Admission(self.router), takes_self=True))
    declared: Router = attrs.field(default=attrs.Factory(lambda self: self.router, takes_self=True))

    @property
    def configuration(self) -> Ref:
        """The object of the configuration itself: it changes with each generation."""
        return ref_of(self.router)

    def waiting(self, kind: type[Any]) -> dict[Ref, Status]:
        """What is to be said of the resources of a kind that are not let in."""
        waiting = {**self.admission.held, **self.admission.undecided}
        return {ref: one.status(self.generation) for ref, one in waiting.items() if ref.kind == kind.__name__}

    def grounds(self, ref: Ref) -> tuple[Ref, ...]:
        """On whom the gate's decision about a resource hangs."""
        return self.admission.grounds.get(ref, ())

    def newest(self, inputs: Iterable[Input]) -> tuple[int, ...]:
        """The event that decided: of all that a controller looks at, what changed last is why it now says other than
        before."""
        known = [self.versions.get(one, 0) if isinstance(one, Ref) else one for one in inputs]
        newest = max(known, default=0)
        return (newest,) if newest else ()


Input = Ref | int
"""Something that a controller looks at and that decides what it says: an object, or an event by its id (0: none)."""
