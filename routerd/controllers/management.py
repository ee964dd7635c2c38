"""ManagementAccess: can the router be reached by the interfaces by which its operators come in, and is there the
group that is to have its admins? It only looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from routerd.config import Router
from routerd.controllers.interface import link_inputs
from routerd.controllers.lease import ifname_of
from routerd.controllers.picture import Picture
from routerd.controllers.planner import Judgement, Step
from routerd.controllers.view import Input, View
from routerd.events import incidents
from routerd.events.status import condition
from routerd.events.types import Event, Ref, Status, ref_of
from routerd.resources.management import ManagementAccess

ASK_AGAIN = 10.0
"""Seconds after which a look asks again for a group that was not there."""
ADMIN_GROUP = "AdminGroup"
"""The condition that the group of admins is there; told only of one that is not."""


class ManagementController:
    """See the module. `has_group`: whether the host knows a group; asked once for each configuration, as the API asks
    who its members are, for that may ask a directory service; of one that is not there now and then."""

    name = "management"
    kinds: tuple[str, ...] = ("ManagementAccess",)

    def __init__(self, has_group: Callable[[str], bool] = lambda name: True) -> None:
        self._has_group = has_group
        self._router: Router | None = None
        self._absent: frozenset[str] = frozenset()
        self._looked_at = 0.0

    def plan(self, view: View) -> Sequence[Step]:
        """Nothing: links and addresses are other controllers'."""
        return []

    def judge(self, view: View, refused: Mapping[Ref, str]) -> Judgement:
        """The status of each ManagementAccess."""
        kind = self.kinds[0]
        self._look_up(view.declared, view.now)
        absent = {ref_of(one): self._lacks(one.spec) for one in view.router.of(ManagementAccess)}
        statuses = {
            ref_of(one): _status(view, one.spec, absent[ref_of(one)]) for one in view.router.of(ManagementAccess)
        }
        because = {ref_of(one): tuple(_inputs(view, one.spec)) for one in view.router.of(ManagementAccess)}
        gone = [ref for ref in view.objects if ref.kind == kind and ref not in statuses]
        told = [_warning(ref, why) for ref, why in absent.items() if why and not _warned(view, ref, why)]
        return Judgement(statuses, gone, because, told)

    def _look_up(self, router: Router, now: float) -> None:
        if self._router is not router or (self._absent and now - self._looked_at >= ASK_AGAIN):
            groups = {one.spec.admin_group for one in router.of(ManagementAccess)} - {None}
            self._absent = frozenset(name for name in groups if name is not None and not self._has_group(name))
            self._router, self._looked_at = router, now

    def _lacks(self, spec: ManagementAccess) -> str:
        """What is to be said of the group of admins, if anything is."""
        if spec.admin_group not in self._absent:
            return ""
        return f"there is no group {spec.admin_group} on this host: but for root nobody is an admin by it"


def _warned(view: View, ref: Ref, why: str) -> bool:
    conditions = view.objects.get(ref, {}).get("conditions", ())
    return any(one.get("type") == ADMIN_GROUP and one.get("message") == why for one in conditions)


def _warning(ref: Ref, why: str) -> Event:
    return Event("routerd.controller.management.group_absent", "warning", "AdminGroupAbsent", why, ref)


def _inputs(view: View, spec: ManagementAccess) -> Iterator[Input]:
    """What decides whether operators can come in: what happened to the links and to their addresses."""
    for name in spec.interfaces:
        ifname = ifname_of(view.declared, name) or ""
        link = view.picture.link_named(ifname)
        yield from link_inputs(view, ifname)
        if link is not None:
            yield view.incidents.last(incidents.addresses(link.index))


def _status(view: View, spec: ManagementAccess, absent: str) -> Status:
    """`Up` when operators can come in by every interface, `Degraded` by some, `Down` by none. `absent`: what there is
    to say of a group that is not there; then it is not `Up` either."""
    found = {name: shut(view.picture, ifname_of(view.declared, name) or "") for name in spec.interfaces}
    wrong = [why for why in found.values() if why is not None]
    phase = "Up" if not wrong else "Degraded" if len(wrong) < len(found) else "Down"
    reason, message = ("Reachable", "") if not wrong else ("InterfaceShut", "; ".join(wrong))
    reachable = condition("Reachable", len(wrong) < len(found), reason, view.generation, message)
    conditions = [reachable]
    if absent:
        conditions.append(condition(ADMIN_GROUP, False, "AdminGroupAbsent", view.generation, absent))
        message = "; ".join((*wrong, absent))
        phase, reason = ("Degraded", "AdminGroupAbsent") if not wrong else (phase, reason)
    status: dict[str, object] = {
        "phase": phase,
        "reason": reason,
        "interfaces": list(spec.interfaces),
        "observedGeneration": view.generation,
        "conditions": conditions,
    }
    return {**status, "message": message} if message else status


def shut(picture: Picture, ifname: str) -> str | None:
    """Why nobody can come in by an interface, None if they can: it is up, and has an address that others may know.
    Link-local addresses do not count: nobody has them in a bookmark."""
    link = picture.link_named(ifname)
    if link is None:
        return f"there is no interface {ifname} on this host now"
    if not link.admin_up:
        return f"{ifname} is down"
    if not link.carrier:
        return f"{ifname} has no carrier"
    on_link = (known for known in picture.addresses.values() if known.link == link.index)
    usable = (known for known in on_link if not known.address.ip.is_link_local and known.standing != "duplicate")
    return None if any(usable) else f"{ifname} has no address"
