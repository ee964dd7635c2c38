"""What a candidate would have the controllers do, by running their own plans against it: on a copy of the picture, on
which each step is taken as if the host had done it, until none has anything left to do.

What only the wire can tell (a lease from a new provider, a carrier) is not foreseen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import trio

from routerd.api.wire_changes import Artifact
from routerd.config import Router
from routerd.controllers.gate import Admission
from routerd.controllers.picture import Picture
from routerd.controllers.planner import Blocked, Planner, Step
from routerd.controllers.view import View
from routerd.controllers.wanted_address6 import DEPRECATED
from routerd.events.types import Ref, Status
from routerd.host import (
    Change,
    PutAddress,
    PutRoute,
    RemoveAddress,
    RemoveRoute,
    Route,
    SetForwarding6,
    SetHostSide6,
    SetLink,
)

MOST_ROUNDS = 10
"""Controllers wait for each other: for a route to be gone, for a link to be up. Nobody waits through more than that."""

NOBODY = ("Interface", "Router")
"""Kinds that things are said to be of when nobody is left of whom they are."""

Daemons = Mapping[Ref, tuple[str, object]]
"""Who runs: for which resource, under which name (`dhcpv4-client/wan`), and with what."""


@attrs.frozen
class Foreseen:
    """What would be done, by resource: sentences, and things. `daemons` are those that start, stop or restart."""

    plans: Mapping[Ref, Sequence[str]] = attrs.field(factory=dict)
    artifacts: Mapping[Ref, Sequence[Artifact]] = attrs.field(factory=dict)
    daemons: tuple[str, ...] = ()
    held: Mapping[Ref, str] = attrs.field(factory=dict)
    """Resources that the gate would not let in, and why."""


@attrs.frozen
class Forecaster:
    """The controllers of a router, for trying out. `planners` makes new ones, that remember nothing."""

    look: Callable[[], View]
    admit: Callable[[Router, Mapping[Ref, Status]], Admission]
    planners: Callable[[], Sequence[Planner]]
    daemons: Callable[[Router], Daemons]
    told: Callable[[View], Mapping[Ref, str]] = lambda view: {}
    """By resource, what it has its daemon tell others: a sentence."""

    async def foresee(self, candidate: Router) -> Foreseen:
        """What would be done if `candidate` were in force, as things are when this is called. Others are let in between
        one controller and the next: with hundreds of resources all of it takes a tenth of a second."""
        view = self.look()
        trial = _Trial(self, candidate, view, copied(view.picture), dict(view.objects), self.told(view))
        trial.daemons()
        for _ in range(MOST_ROUNDS):
            if not await trial.round():
                break
        trial.tell_others()
        return trial.foreseen


@attrs.define(eq=False)
class _Trial:
    _forecaster: Forecaster
    _candidate: Router
    _present: View
    _picture: Picture
    _objects: dict[Ref, Status]
    _told: Mapping[Ref, str]
    _leaving: dict[str, Ref] = attrs.field(factory=dict)
    """Interfaces whose daemon stops, addresses and prefixes that it held, and for whom."""
    _plans: dict[Ref, list[str]] = attrs.field(factory=dict)
    _artifacts: dict[Ref, list[Artifact]] = attrs.field(factory=dict)
    _daemons: list[str] = attrs.field(factory=list)
    _held: Mapping[Ref, str] = attrs.field(factory=dict)
    _planners: Sequence[Planner] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._planners = self._forecaster.planners()

    @property
    def foreseen(self) -> Foreseen:
        return Foreseen(self._plans, self._artifacts, tuple(self._daemons), self._held)

    def daemons(self) -> None:
        """Who starts, stops and restarts. What a daemon has told is forgotten when it stops."""
        admission = self._admit()
        before, after = self._forecaster.daemons(self._present.router), self._forecaster.daemons(admission.router)
        running, wanted = {name for name, _ in before.values()}, {name for name, _ in after.values()}
        for ref, (name, _) in {**before, **after}.items():
            if before.get(ref) == after.get(ref):
                continue
            action = "start" if name not in running else "stop" if name not in wanted else "restart"
            self._daemons += [] if name in self._daemons else [name]
            self._note(ref, f"{action} {name}", Artifact("Daemon", name, action))
            if ref not in after:
                self._leave(ref, self._objects.pop(ref, {}))

    def _leave(self, ref: Ref, status: Status) -> None:
        held = (status.get(field) for field in ("device", "currentAddress", "currentPrefix"))
        self._leaving |= {one: ref for one in held if one is not None}

    def tell_others(self) -> None:
        """What daemons that go on would tell otherwise than now."""
        for ref, words in self._forecaster.told(self._view()).items():
            if self._told.get(ref) != words:
                self._note(ref, words, None)

    async def round(self) -> bool:
        """Each controller once. Whether anything has changed by it."""
        view, moved = self._view(), False
        for planner in self._planners:
            await trio.lowlevel.checkpoint()
            moved = self._take(planner, view) or moved
        return moved

    def _admit(self) -> Admission:
        admission = self._forecaster.admit(self._candidate, self._objects)
        held = {**admission.held, **admission.undecided}
        self._held = {ref: one.message for ref, one in held.items()}
        return admission

    def _view(self) -> View:
        admission = self._admit()
        return attrs.evolve(
            self._present,
            router=admission.router,
            generation=self._present.generation + 1,
            objects=self._objects,
            picture=self._picture,
            admission=admission,
            declared=self._candidate,
        )

    def _take(self, planner: Planner, view: View) -> bool:
        moved = False
        for step in planner.plan(view):
            if isinstance(step, Blocked):
                self._note(step.resource, f"cannot: {step.message}", None)
                continue
            before = dict(self._picture.routes) if isinstance(step.change, SetLink) else {}
            self._picture.applied(step.change)
            moved = True
            if step.topic:  # else it is there, and stays
                self._tell(step)
            self._tell_lost(step.resource, [before[key] for key in before.keys() - self._picture.routes.keys()])
        judgement = planner.judge(view, {})
        for ref, status in judgement.statuses.items():
            moved = moved or _said(self._objects.get(ref)) != _said(status)
            self._objects[ref] = status
        for ref in judgement.gone:
            moved = self._objects.pop(ref, None) is not None or moved
        return moved

    def _tell(self, step: Step) -> None:
        words, artifact, link = told(step.change, self._picture)
        owner = step.resource
        if isinstance(step.change, RemoveAddress | RemoveRoute) and owner.kind in NOBODY:
            owner = self._leaving.get(_what(step.change)) or self._leaving.get(link, owner)
        self._note(owner, words, artifact)

    def _tell_lost(self, ref: Ref, routes: Sequence[Route]) -> None:
        """The system takes the routes of a link along that is set down."""
        for name in sorted(_route(self._picture, route) for route in routes if route.ours):
            self._note(ref, f"with it goes the route to {name}", Artifact("Route", name, "delete"))

    def _note(self, ref: Ref, words: str, artifact: Artifact | None) -> None:
        if words not in self._plans.setdefault(ref, []):
            self._plans[ref].append(words)
            if artifact is not None:
                self._artifacts.setdefault(ref, []).append(artifact)


def _what(change: RemoveAddress | RemoveRoute) -> str:
    """What goes, as a client's status tells of it."""
    return str(change.address.address.ip if isinstance(change, RemoveAddress) else change.route.destination)


def _said(status: Status | None) -> dict[str, Any]:
    """What others may plan by: not which generation said it."""
    return {k: v for k, v in (status or {}).items() if k not in ("conditions", "observedGeneration")}


def copied(picture: Picture) -> Picture:
    """One that can be changed without the other."""
    other = Picture()
    other.links, other.addresses, other.routes = dict(picture.links), dict(picture.addresses), dict(picture.routes)
    return other


def told(change: Change, picture: Picture) -> tuple[str, Artifact, str]:
    """A change that is still to come, in words; the thing that it is about; and the name of the link."""
    match change:
        case PutAddress(address) | RemoveAddress(address):
            link = _name(picture, address.link)
            puts = isinstance(change, PutAddress)
            verb = "deprecate" if address.preferred_until == DEPRECATED else "put"
            words = f"{verb} {address.address} on {link}" if puts else f"remove {address.address} from {link}"
            name = f"{address.address} dev {link}"
            return words, Artifact("Address", name, "ensure" if puts else "delete"), link
        case PutRoute(route) | RemoveRoute(route):
            link, name = _name(picture, route.link), _route(picture, route)
            puts = isinstance(change, PutRoute)
            words = f"{'install' if puts else 'remove'} the route to {name}"
            return words, Artifact("Route", name, "ensure" if puts else "delete"), link
        case SetLink(index, admin_up, mtu):
            link = _name(picture, index)
            wishes = [] if admin_up is None else [f"administratively {'up' if admin_up else 'down'}"]
            wishes += [] if mtu is None else [f"mtu {mtu}"]
            return f"set {link} {', '.join(wishes)}", Artifact("Link", link, "ensure"), link
        case SetHostSide6(index, accept_ra, autoconf):
            link = _name(picture, index)
            sides = {"obey routers": accept_ra, "make addresses of their prefixes": autoconf}
            wishes = [f"{'' if wish else 'not '}{what}" for what, wish in sides.items() if wish is not None]
            return f"let the kernel {' and '.join(wishes)} on {link}", Artifact("Link", link, "ensure"), link
        case SetForwarding6(on):
            words = "let the kernel forward IPv6" if on else "let the kernel not forward IPv6"
            return words, Artifact("Forwarding", "ipv6", "ensure"), ""


def _name(picture: Picture, index: int | None) -> str:
    link = picture.links.get(index) if index is not None else None
    return link.name if link is not None else "" if index is None else str(index)


def _route(picture: Picture, route: Route) -> str:
    via = f" via {route.gateway}" if route.gateway is not None else ""
    dev = f" dev {_name(picture, route.link)}" if route.link is not None else ""
    return f"{route.destination}{via}{dev} metric {route.metric}"
