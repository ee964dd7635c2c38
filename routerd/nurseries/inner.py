"""Who lives in the innermost nursery: the lookout, the daemons, and the controllers.

A daemon or a controller that crashes is run again by itself. What wakes them all (the lookout, the watches) is not
supervised: its fault ends the whole tree, for a router that has stopped looking is worse than one that starts again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import trio

from routerd.controllers.reconcile import HostReconciler
from routerd.daemons.given import Given
from routerd.events.types import Ref
from routerd.nurseries import rules, telemetry
from routerd.nurseries.controllers import Controller
from routerd.nurseries.families import FAMILIES
from routerd.nurseries.house import House
from routerd.nurseries.life import supervised
from routerd.nurseries.lookout import run_clock_watch, run_lookout
from routerd.nurseries.quarters import Quarters
from routerd.nurseries.retention import RetentionController
from routerd.rules.around import Around


async def start_inner(nursery: trio.Nursery, house: House) -> None:
    """Start all of them. What the host is like is known before anybody acts on it."""
    host, log, vantage, ring = house.system.host, house.log, house.vantage, house.controllers.ring
    await nursery.start(run_lookout, host, vantage.picture, vantage.look, log, ring)
    nursery.start_soon(run_clock_watch, host, log, vantage.incidents, ring)
    for controller in _controllers(nursery, house):
        house.controllers.start(nursery, controller)
    nursery.start_soon(supervised, log, "a change on trial", house.commit_watch.run)
    nursery.start_soon(house.controllers.run_object_watch)
    house.controllers.listens("gate", vantage.gatekeeper.bell)
    nursery.start_soon(vantage.gatekeeper.run, lambda: vantage.look().admission, ring)
    ring("start")
    house.changes.see_soon()


def _controllers(nursery: trio.Nursery, house: House) -> Iterator[Controller]:
    """Those of the daemons, of the host, and of what watches over both."""
    log, look, controllers = house.log, house.vantage.look, house.controllers
    quarters = _quarters(nursery, house)
    for family in FAMILIES:
        yield from family.establish(quarters, look)
    yield from _reconcilers(house)
    clock, life, plane = house.system.host.clock, house.life, house.plane
    around = Around(rules.alarm_by(clock), lambda: plane.running.generation, life.configured)
    yield rules.establish(nursery, log, look, around)
    yield telemetry.establish(nursery, plane, look, controllers.ring_one)
    yield house.commit_watch
    retention = RetentionController(look, log)
    nursery.start_soon(retention.watch, lambda why: controllers.ring_one(retention.name, why))
    yield retention


def _reconcilers(house: House) -> Iterator[Controller]:
    """Of the host. What the first of them says of a resource in this life, the gate may go by."""

    def judged(refs: Collection[Ref]) -> None:
        if house.vantage.gatekeeper.hear(refs):
            house.controllers.ring("heard")

    for planner in house.planners:
        yield HostReconciler(planner, house.vantage.look, house.system.host, house.log, judged)


def _quarters(nursery: trio.Nursery, house: House) -> Quarters:
    """For the daemons."""
    system, options, plane = house.system, house.options, house.plane
    given = Given(
        host=system.host,
        endpoints=system.endpoints,
        log=house.log,
        incidents=house.vantage.incidents,
        began=house.life.began,
        state_dir=options.state_dir,
        generation=lambda: plane.running.generation,
        reload=house.configuration.reload,
        run_sync=system.run_sync,
        rng=system.rng,
    )
    return Quarters(nursery, plane, options.run_dir, given)
