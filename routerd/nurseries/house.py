"""What the tasks of the tree have in common, put together once and before the first of them runs. Nothing runs here;
who runs under whom is `routerd.nurseries.root`."""

from __future__ import annotations

from functools import partial

from routerd.api.access import has_group
from routerd.api.plane import Running
from routerd.changes.canonical import Canonical
from routerd.changes.changes import RouterChanges
from routerd.changes.commit_keeper import CommitKeeper
from routerd.changes.commit_resume import resume
from routerd.changes.commit_trial import Trials
from routerd.changes.commit_voice import Voice
from routerd.changes.commit_watch import CommitWatch
from routerd.changes.first import first
from routerd.changes.forecast import Forecaster
from routerd.changes.gate import Gate
from routerd.changes.generations import Generations, generation_key
from routerd.changes.stage import Stage
from routerd.config import Router
from routerd.controllers.address import AddressController
from routerd.controllers.delegation import DelegationController
from routerd.controllers.forwarding import ForwardingController
from routerd.controllers.interface import InterfaceController
from routerd.controllers.management import ManagementController
from routerd.controllers.planner import Planner
from routerd.controllers.route import RouteController
from routerd.controllers.slaac import SlaacController
from routerd.events.log import Log
from routerd.nurseries.configuration import Configuration
from routerd.nurseries.controllers import Controllers
from routerd.nurseries.families import OWN_KINDS, daemons_of, unusable
from routerd.nurseries.life import ROUTERD, Life
from routerd.nurseries.options import Options
from routerd.nurseries.plane import RouterPlane
from routerd.nurseries.ra_facts import told_to_lans
from routerd.nurseries.system import System
from routerd.nurseries.vantage import Vantage


class House:
    """See the module. Not "the router": it holds no protocol state and decides nothing."""

    def __init__(
        self, options: Options, system: System, log: Log, first: Running, generations: Generations, trials: Trials
    ) -> None:
        self.options = options
        self.system = system
        self.log = log
        self.planners = new_planners()
        judged = {kind for planner in self.planners for kind in planner.kinds} - OWN_KINDS
        self.life = Life(log, system.host.name, self._running)
        self.vantage = Vantage(log, system.host.clock, self._running, judged)
        self.controllers = Controllers(log, system.host.clock)
        voice = Voice(log, ROUTERD)
        canonical, look = Canonical(options.config), self.vantage.look
        keeper = CommitKeeper(trials, canonical, voice, look, system.run_sync)
        self.changes = self._way_of_changes(first, generations, canonical, keeper)
        self.commit_watch = CommitWatch(trials, self.changes, voice, look)
        self.configuration = Configuration(self.changes.gate, ROUTERD, log, str(options.config), self.changes.see_soon)
        self.plane = RouterPlane(
            *(log, self.configuration, self.changes, keeper, self.controllers.meters),
            *(options.run_dir, options.state_dir, system.host.name),
        )

    def _running(self) -> Running:
        """What is in force: who looks wants it, and so does the gate that changes it, which wants to look."""
        return self.changes.gate.running

    def _way_of_changes(
        self, first: Running, generations: Generations, canonical: Canonical, keeper: CommitKeeper
    ) -> RouterChanges:
        log, run_sync, look = self.log, self.system.run_sync, self.vantage.look
        forecaster = Forecaster(look, self.vantage.gatekeeper.preview, new_planners, daemons_of, told_to_lans)
        stage = Stage(forecaster, self._settled, lambda: self.controllers.crashed, log)
        judge = partial(unusable, run_dir=self.options.run_dir)
        loaded = self.controllers.reconfigured
        gate = Gate(canonical, generations, first, log, ROUTERD, run_sync, judge, stage.phase, loaded, keeper)
        return RouterChanges(gate, stage, log, ROUTERD, run_sync)

    async def _settled(self) -> None:
        """Return when the controllers have taken in what has changed, and daemons that were started know where they
        stand."""
        await self.controllers.settled()
        seen = self.log.objects.version
        while any(daemon.phase == "Starting" for daemon in self.plane.daemons.values()):
            seen = await self.log.objects.changed(seen)
            await self.controllers.quiet()


async def open_house(options: Options, router: Router, system: System, log: Log) -> House:
    """Everything that the tasks share. `router` is in force, unless a change that an earlier life had on trial goes
    back at once."""
    run_sync = system.run_sync
    generations = Generations(log, options.state_dir, await run_sync(generation_key, options.state_dir))
    trials = Trials(options.state_dir, system.host.clock, run_sync)
    router = await resume(trials, Canonical(options.config), Voice(log, ROUTERD), run_sync) or router
    running = await first(log, generations, router, str(options.config), ROUTERD, run_sync)
    return House(options, system, log, running, generations, trials)


def new_planners() -> list[Planner]:
    """Those who change the host, as they are at the start."""
    return [
        InterfaceController(),
        AddressController(),
        DelegationController(),
        SlaacController(),
        ForwardingController(),
        RouteController(),
        ManagementController(has_group),
    ]
