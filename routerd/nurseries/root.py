"""The root of the tree: who runs, and who outlives whom, which is indentation.

Event log first in, last out; then the API sockets; then daemons and controllers. Nothing of the host is taken
down when the tree ends: a restart of routerd is not a link loss (X-4).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from routerd.api.access import has_group
from routerd.api.plane import Daemon, Running
from routerd.api.serve import serve_api, serve_daemon
from routerd.api.sockets import check_free
from routerd.api.unfinished import tell_unfinished
from routerd.changes.canonical import Canonical
from routerd.changes.changes import RouterChanges
from routerd.changes.commit_keeper import CommitKeeper
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
from routerd.controllers.meter import Meter
from routerd.controllers.picture import Picture
from routerd.controllers.reconcile import Bell, HostReconciler, Planner, Reconcile, View, run_controller
from routerd.controllers.rounds import Rounds
from routerd.controllers.route import RouteController
from routerd.controllers.slaac import SlaacController
from routerd.daemons.dhcpv4_client import DHCPv4Daemon
from routerd.daemons.dhcpv4_settings import ClientSpec
from routerd.daemons.dhcpv6_client import DHCPv6Daemon
from routerd.daemons.ndp_daemon import NdpDaemon
from routerd.daemons.ra_client import RAClient
from routerd.daemons.ra_server import RAServer
from routerd.events.incidents import Incidents
from routerd.events.journal import last_cursor, run_journal
from routerd.events.log import Log, open_log
from routerd.events.types import Event, Ref, Source
from routerd.nurseries.clients import ClientFleet, daemons_of, forget_the_past, socket_of, unreachable
from routerd.nurseries.clients6 import (
    ClientFleet6,
    Desired,
    daemons_of6,
    forget_the_past6,
    socket_of6,
    unreachable6,
)
from routerd.nurseries.configuration import Configuration
from routerd.nurseries.fleet import Fleet
from routerd.nurseries.gatekeeper import Gatekeeper
from routerd.nurseries.logbook import run_logbook
from routerd.nurseries.lookout import run_clock_watch, run_lookout
from routerd.nurseries.notify import notify
from routerd.nurseries.plane import RouterPlane
from routerd.nurseries.ra import (
    Means,
    RAClientFleet,
    RAServerFleet,
    forget_what_was_heard,
    ra_daemons_of,
    ra_socket_of,
    unreachable_ra,
)
from routerd.nurseries.retention import RetentionController
from routerd.nurseries.rules import RuleFleet, Run, alarm_by, ref_of, rule_run, tell_crashed
from routerd.nurseries.signals import run_signals
from routerd.nurseries.supervisor import supervise
from routerd.nurseries.system import System
from routerd.nurseries.telemetry import TelemetryFleet, opener
from routerd.resources.observability import Telemetry
from routerd.rules.engine import Around
from routerd.telemetry.exporter import Exporter

logger = logging.getLogger("routerd")

ROUTERD = Source("routerd", "routerd", "routerd")
"""Who says what the whole program says."""


@attrs.frozen
class Options:
    """What the command line chose."""

    config: Path
    run_dir: Path
    state_dir: Path
    group: str = "routerd"
    gauge_interval: float = 1.0
    """Seconds between two looks at the event loop's lateness. A simulated year wants few of them."""

    @property
    def sockets(self) -> tuple[str, str]:
        """Paths of the main and of the status socket."""
        return str(self.run_dir / "routerd.sock"), str(self.run_dir / "routerd-status.sock")


async def run_router(
    options: Options,
    router: Router,
    system: System,
    *,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Run the router until a signal ends it or the task is cancelled. `ready` is called once the API answers and
    every controller has been started. Raises OSError (a socket's path is in use), LogVersionError."""
    for path in options.sockets:
        check_free(path)  # They are taken when there is something to answer; one that is in use ends it before a word.
    floor = partial(journal_cursor, options.state_dir)
    async with (
        open_log(
            options.state_dir / "routerd.db",
            clock_ns=system.host.clock.wall,
            run_sync=system.run_sync,
            cursor_floor=floor,
        ) as log,
        trio.open_nursery() as outer,
    ):
        for companion in system.companions:
            outer.start_soon(companion)
        generations = Generations(log, options.state_dir, await system.run_sync(generation_key, options.state_dir))
        newest, canonical = log.newest, Canonical(options.config)
        keeper = CommitKeeper(options.state_dir, canonical, log, system.host.clock, ROUTERD, system.run_sync)
        router = await keeper.resume() or router
        running = await first(log, generations, router, str(options.config), ROUTERD, system.run_sync)
        root = Root(options, system, log, running, generations, keeper)
        outer.start_soon(root.configuration.run)
        outer.start_soon(root.changes.run)
        await outer.start(run_signals, root.end, root.configuration.reload_soon)
        outer.start_soon(run_logbook, log)
        outer.start_soon(root.plane.verbosity.run)
        outer.start_soon(tell_unfinished, log, log.newest)
        outer.start_soon(root.plane.run_gauge, options.gauge_interval)
        async with trio.open_nursery() as sockets:
            await root.hello(newest)
            await sockets.start(root.serve)
            async with trio.open_nursery() as inner:
                await root.start_inner(inner)
                root.configuration.up()
                ready()
                await root.ending.wait()
                notify("STOPPING=1")
                inner.cancel_scope.cancel()
            await root.goodbye()
            sockets.cancel_scope.cancel()
        outer.cancel_scope.cancel()


def journal_cursor(state_dir: Path, source: str) -> int:
    """The last cursor that a daemon's journal has, 0 if it cannot be read (whoever writes it complains): when the log
    was lost, its count goes on from there."""
    for daemon in (DHCPv4Daemon, DHCPv6Daemon, RAClient, RAServer):
        kind, dash, instance = source.rpartition(f"{daemon.kind}-")
        if kind or not dash:
            continue
        try:
            return last_cursor(state_dir / daemon.directory / instance / "events.jsonl")
        except OSError:
            return 0
    return 0


class Root:
    """What the root nursery's tasks share. Not "the router": it holds no protocol state and decides nothing."""

    def __init__(
        self,
        options: Options,
        system: System,
        log: Log,
        running: Running,
        generations: Generations,
        keeper: CommitKeeper,
    ) -> None:
        self._options = options
        self._system = system
        self._host = system.host
        self._log = log
        self._picture = Picture()
        self._incidents = Incidents()
        self._planners = new_planners()
        judged = {kind for planner in self._planners for kind in planner.kinds} - {
            *ClientFleet.kinds,
            *ClientFleet6.kinds,
            *RAClientFleet.kinds,
        }
        unheard = (stored.ref for stored in log.objects.all() if stored.ref.kind in judged)
        self._gate = Gatekeeper(system.host.clock, unheard)
        self._bells: dict[str, Bell] = {"gate": self._gate.bell}
        self.ending = trio.Event()
        self._why = "cancelled"
        self._started = 0
        self._rounds = Rounds()
        self._keeper = keeper
        self.changes = self._open_changes(running, generations)
        self.changes.gate.commitments = keeper
        keeper.attach(self.changes, self._look)
        self.configuration = Configuration(self.changes.gate, ROUTERD, log, str(options.config), self.changes.see_soon)
        self.plane = RouterPlane(
            log, self.configuration, self.changes, keeper, options.run_dir, options.state_dir, system.host.name
        )

    def _open_changes(self, running: Running, generations: Generations) -> RouterChanges:
        """The way by which the configuration changes."""
        log, run_sync, options = self._log, self._system.run_sync, self._options
        forecaster = Forecaster(self._look, self._gate.preview, new_planners, all_daemons_of)
        stage = Stage(forecaster, self._settled, self._crashed, log)
        judge = partial(unusable, run_dir=options.run_dir)
        canonical = Canonical(options.config)
        gate = Gate(canonical, generations, running, log, ROUTERD, run_sync, judge, stage.phase, self._reconfigured)
        return RouterChanges(gate, stage, log, ROUTERD, run_sync)

    # Coming up

    async def hello(self, newest: int) -> None:
        """The first event of this life, whose configuration has another generation if that came after `newest`; and
        what there is to forget of the one before."""
        running, configured = self.plane.running, self._configured()
        message = f"routerd started on {self._host.name}, configuration generation {running.generation}"
        causes = (configured,) if configured > newest else ()
        self._started = await self._tell("routerd.daemon.lifecycle.started", "Started", message, causes)
        await forget_the_past(self._log, running, self._started)
        await forget_the_past6(self._log, running, self._started)
        await forget_what_was_heard(self._log, running, self._started)

    def _configured(self) -> int:
        """The event with which the configuration in force began."""
        router = self.plane.running.router
        stored = self._log.objects.get(Ref("Router", router.name, "routerd.net/v1alpha1"))
        return stored.version if stored is not None else 0

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """The main and the status socket."""
        main, status = self._options.sockets
        group = self._options.group
        await serve_api(self.plane, main_path=main, status_path=status, group=group, task_status=task_status)

    async def start_inner(self, nursery: trio.Nursery) -> None:
        """Lookout, daemons and controllers."""
        await nursery.start(run_lookout, self._host, self._picture, self._look, self._log, self._ring)
        nursery.start_soon(run_clock_watch, self._host, self._log, self._incidents, self._ring)
        fleet = Fleet(nursery, self._make_client, self._run_client)
        clients = ClientFleet(fleet, self._look, self._log)
        self.plane.fleets.append(_Members(fleet))
        self._start_controller(nursery, clients.name, clients.kinds, clients)
        fleet6 = Fleet(nursery, self._make_client6, self._run_client6)
        clients6 = ClientFleet6(fleet6, self._look, self._log)
        self.plane.fleets.append(_Members(fleet6))
        self._start_controller(nursery, clients6.name, clients6.kinds, clients6)
        self._start_advertisements(nursery)
        for planner in self._planners:
            reconcile = HostReconciler(planner, self._look, self._host, self._log, self._judged)
            self._start_controller(nursery, planner.name, planner.kinds, reconcile)
        self._start_rules(nursery)
        self._start_telemetry(nursery)
        self._start_controller(nursery, self._keeper.name, self._keeper.kinds, self._keeper)
        tell_crash = partial(self._tell_crash, "a change on trial")
        nursery.start_soon(supervise, "a change on trial", self._keeper.run, tell_crash)
        retention = RetentionController(self._look, self._log)
        self._start_controller(nursery, retention.name, retention.kinds, retention)
        nursery.start_soon(retention.watch, self._bells[retention.name].ring)
        nursery.start_soon(self._run_object_watch)
        nursery.start_soon(self._gate.run, lambda: self._look().admission, self._ring)
        self._ring("start")
        self.changes.see_soon()

    def _start_advertisements(self, nursery: trio.Nursery) -> None:
        options, system = self._options, self._system
        means = Means(
            self._make_ndp,
            lambda spec: RAClient(spec, options.state_dir, system.run_sync, system.rng),
            lambda name, spec: RAServer(name, spec, options.state_dir, self._host.clock, system.run_sync, system.rng),
        )
        listening = Fleet(nursery, means.new_client, self._run_ndp)
        telling = Fleet(nursery, means.new_server, self._run_ndp)
        self.plane.fleets += [_Members(listening), _Members(telling)]
        clients, servers = RAClientFleet(listening, self._look), RAServerFleet(telling, self._look, self._log)
        self._start_controller(nursery, clients.name, clients.kinds, clients)
        self._start_controller(nursery, servers.name, servers.kinds, servers)

    def _start_controller(self, nursery: trio.Nursery, name: str, kinds: tuple[str, ...], act: Reconcile) -> None:
        bell, meter = Bell(), Meter(name, kinds, self._host.clock.wall)
        self._bells[name] = bell
        self._rounds.add(bell, meter)
        self.plane.meters.append(meter)

        async def report(error: str, crashes: int, delay: float) -> None:
            meter.note(last_restart=self._host.clock.wall())
            await self._tell_crash(f"controller {name}", error, crashes, delay)
            bell.ring("restart")

        nursery.start_soon(supervise, f"controller {name}", partial(run_controller, bell, meter, act), report)

    def _start_rules(self, nursery: trio.Nursery) -> None:
        async def run(rule: Run) -> None:
            label, work = rule

            async def report(error: str, crashes: int, delay: float) -> None:
                crash = await self._log_crash(label, error, crashes, delay, ref_of(label))
                await tell_crashed(self._log, label, error, crash)

            await supervise(label, work, report)

        around = Around(alarm_by(self._host.clock), lambda: self.plane.running.generation, self._configured)
        fleet = Fleet(nursery, partial(rule_run, self._log, around), run)
        rules = RuleFleet(fleet, self._look, self._log)
        self._start_controller(nursery, rules.name, rules.kinds, rules)

    def _start_telemetry(self, nursery: trio.Nursery) -> None:
        opening = opener(self.plane)

        def make(name: str, spec: Telemetry) -> Exporter:
            return Exporter(name, spec, self.plane, opening, lambda: self._bells[TelemetryFleet.name].ring("exporter"))

        async def run(exporter: Exporter) -> None:
            who = f"telemetry {exporter.name}"
            await supervise(who, exporter.run, partial(self._tell_crash, who))

        fleet = Fleet(nursery, make, run)
        telemetry = TelemetryFleet(fleet, self._look, self._log)
        self.plane.exporters = lambda: fleet.members
        self._start_controller(nursery, telemetry.name, telemetry.kinds, telemetry)

    # Daemons

    def _make_client(self, name: str, spec: ClientSpec) -> DHCPv4Daemon:
        return DHCPv4Daemon(
            name,
            spec,
            host=self._host,
            endpoints=self._system.endpoints,
            log=self._log,
            incidents=self._incidents,
            began=lambda: max(self._started, self._configured()),
            state_dir=self._options.state_dir,
            generation=lambda: self.plane.running.generation,
            reload=self.configuration.reload,
            run_sync=self._system.run_sync,
            rng=self._system.rng,
        )

    def _make_client6(self, name: str, desired: Desired) -> DHCPv6Daemon:
        return DHCPv6Daemon(
            desired.resource,
            desired.spec,
            host=self._host,
            endpoints=self._system.endpoints,
            log=self._log,
            incidents=self._incidents,
            began=lambda: max(self._started, self._configured()),
            state_dir=self._options.state_dir,
            generation=lambda: self.plane.running.generation,
            reload=self.configuration.reload,
            run_sync=self._system.run_sync,
            rng=self._system.rng,
        )

    def _make_ndp(self, name: str, ifname: str, part: RAClient | RAServer) -> NdpDaemon:
        return NdpDaemon(
            name,
            ifname,
            part,
            host=self._host,
            endpoints=self._system.endpoints,
            log=self._log,
            incidents=self._incidents,
            began=lambda: max(self._started, self._configured()),
            generation=lambda: self.plane.running.generation,
            reload=self.configuration.reload,
            run_sync=self._system.run_sync,
        )

    async def _run_client(self, daemon: DHCPv4Daemon) -> None:
        await self._run_daemon(daemon, {socket_of(self._options.run_dir, daemon.source.instance): daemon})

    async def _run_client6(self, daemon: DHCPv6Daemon) -> None:
        faces: list[Daemon] = [daemon, *daemon.facets]
        await self._run_daemon(daemon, {socket_of6(self._options.run_dir, one.source.instance): one for one in faces})

    async def _run_ndp(self, daemon: NdpDaemon) -> None:
        socket = ra_socket_of(self._options.run_dir, daemon.directory, daemon.source.instance)
        await self._run_daemon(daemon, {socket: daemon})

    async def _run_daemon(
        self, daemon: DHCPv4Daemon | DHCPv6Daemon | NdpDaemon, sockets: Mapping[Path, Daemon]
    ) -> None:
        """A daemon with its journal, and with what answers at which socket."""
        directory = self._options.state_dir / daemon.directory / daemon.source.instance

        async def report(error: str, crashes: int, delay: float) -> None:
            crash = await self._log_crash(daemon.source.name, error, crashes, delay, daemon.resource)
            await daemon.crashed(error, crash)

        async with trio.open_nursery() as nursery:
            # The journal is a reader of the log: what it misses of the goodbye it writes at the next start.
            path, run_sync = directory / "events.jsonl", self._system.run_sync
            journal = partial(run_journal, self._log, daemon.source.name, path, run_sync=run_sync)
            nursery.start_soon(supervise, f"journal {path}", journal, partial(self._tell_crash, f"journal {path}"))
            for socket, face in sockets.items():
                serve = partial(serve_daemon, self.plane, face, str(socket))
                nursery.start_soon(supervise, f"socket {socket}", serve, partial(self._tell_crash, f"socket {socket}"))
            await supervise(daemon.source.name, daemon.run, report)
            nursery.cancel_scope.cancel()

    async def _tell_crash(self, who: str, error: str, crashes: int, delay: float) -> None:
        await self._log_crash(who, error, crashes, delay)

    async def _log_crash(self, who: str, error: str, crashes: int, delay: float, resource: Ref | None = None) -> int:
        message = f"{who} crashed ({error}); crash {crashes} in a row, again in {delay:.0f} s"
        attributes = {"component": who, "error": error, "crashes": str(crashes)}
        topic = "routerd.daemon.lifecycle.crashed"
        [event_id] = await self._log.append(Event(topic, "error", "CrashLoop", message, resource, ROUTERD, attributes))
        return event_id

    # While it runs

    def _look(self) -> View:
        stored = self._log.objects.all()
        running = self.plane.running
        objects = {one.ref: one.status for one in stored}
        admission = self._gate.look(running.router, objects, self._log.objects.version)
        return View(
            admission.router,
            running.generation,
            objects,
            self._picture,
            self._host.clock.now(),
            {one.ref: one.version for one in stored},
            self._incidents,
            admission,
            running.router,
        )

    def _judged(self, refs: Collection[Ref]) -> None:
        if self._gate.hear(refs):
            self._ring("heard")

    def _ring(self, why: str) -> None:
        for bell in self._bells.values():
            bell.ring(why)

    async def _run_object_watch(self) -> None:
        """Wake the controllers when the status of any object has changed."""
        seen = self._log.objects.version
        while True:
            seen = await self._log.objects.changed(seen)
            self._ring("objects")

    async def _settled(self) -> None:
        """Return when the controllers have taken in what has changed, and daemons that were started know where they
        stand."""
        await self._rounds.settled()
        seen = self._log.objects.version
        while any(daemon.phase == "Starting" for daemon in self.plane.daemons.values()):
            seen = await self._log.objects.changed(seen)
            await self._rounds.quiet()

    def _crashed(self) -> bool:
        return any(meter.crashed for meter in self.plane.meters)

    def _reconfigured(self) -> None:
        self._rounds.changed()
        for meter in self.plane.meters:
            meter.note(last_reload=self._host.clock.wall(), last_change_reason="configuration reloaded")
        self._ring("configuration")

    # Going down

    def end(self, why: str) -> None:
        """End the router: `why` is for the log."""
        self._why = why
        self.ending.set()

    async def goodbye(self) -> None:
        """The last event of this life."""
        message = f"routerd stops ({self._why}); addresses, routes and leases stay"
        await self._tell("routerd.daemon.lifecycle.stopped", "Stopped", message)

    async def _tell(self, topic: str, reason: str, message: str, causes: tuple[int, ...] = ()) -> int:
        event = Event(topic, reason=reason, message=message, source=ROUTERD, causes=causes)
        [event_id] = await self._log.append(event)
        return event_id


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


def all_daemons_of(router: Router) -> dict[Ref, tuple[str, object]]:
    """For which resource of a router which daemon runs, and with what."""
    return {**daemons_of(router), **daemons_of6(router), **ra_daemons_of(router)}


def unusable(router: Router, run_dir: Path) -> str | None:
    """Why a router's daemons could not run or not be asked; None: they can."""
    return unreachable(router, run_dir) or unreachable6(router, run_dir) or unreachable_ra(router, run_dir)


class _Members(Mapping[str, Daemon]):
    """A fleet's members as they are at each look."""

    def __init__(self, fleet: Fleet[Any, Any]) -> None:
        self._fleet: Fleet[Any, Daemon] = fleet

    def __getitem__(self, name: str) -> Daemon:
        return self._fleet.members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fleet.members)

    def __len__(self) -> int:
        return len(self._fleet.members)
