"""ManagementAccess: can the router be reached by the interfaces by which its operators come in? It only looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from routerd.controllers.interface import link_inputs
from routerd.controllers.lease import ifname_of, ref_of
from routerd.controllers.picture import Picture
from routerd.controllers.reconcile import Input, Judgement, Step, View, condition
from routerd.events import incidents
from routerd.events.types import Ref, Status
from routerd.resources.management import ManagementAccess


class ManagementController:
    """See the module."""

    name = "management"
    kinds: tuple[str, ...] = ("ManagementAccess",)

    def plan(self, view: View) -> Sequence[Step]:
        """Nothing: links and addresses are other controllers'."""
        return []

    def judge(self, view: View, refused: Mapping[Ref, str]) -> Judgement:
        """The status of each ManagementAccess."""
        kind = self.kinds[0]
        statuses = {ref_of(one): _status(view, one.spec) for one in view.router.of(ManagementAccess)}
        because = {ref_of(one): tuple(_inputs(view, one.spec)) for one in view.router.of(ManagementAccess)}
        return Judgement(statuses, [ref for ref in view.objects if ref.kind == kind and ref not in statuses], because)


def _inputs(view: View, spec: ManagementAccess) -> Iterator[Input]:
    """What decides whether operators can come in: what happened to the links and to their addresses."""
    for name in spec.interfaces:
        ifname = ifname_of(view.declared, name) or ""
        link = view.picture.link_named(ifname)
        yield from link_inputs(view, ifname)
        if link is not None:
            yield view.incidents.last(incidents.addresses(link.index))


def _status(view: View, spec: ManagementAccess) -> Status:
    """`Up` when operators can come in by every interface, `Degraded` by some, `Down` by none."""
    found = {name: shut(view.picture, ifname_of(view.declared, name) or "") for name in spec.interfaces}
    wrong = [why for why in found.values() if why is not None]
    phase = "Up" if not wrong else "Degraded" if len(wrong) < len(found) else "Down"
    reason, message = ("Reachable", "") if not wrong else ("InterfaceShut", "; ".join(wrong))
    status: dict[str, object] = {
        "phase": phase,
        "reason": reason,
        "interfaces": list(spec.interfaces),
        "observedGeneration": view.generation,
        "conditions": [condition("Reachable", len(wrong) < len(found), reason, view.generation, message)],
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
    on_link = (known.address.ip for known in picture.addresses.values() if known.link == link.index)
    return None if any(not ip.is_link_local for ip in on_link) else f"{ifname} has no address"
