"""`GET /metrics`: what is counted, by names and labels that stay few; docs/metrics.md has all of it."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from routerd.api import figures, metrics
from routerd.api.plane import Packets
from routerd.api.process import PROCESS
from routerd.api.server import Capacity
from routerd.config import Router
from routerd.events import tally
from routerd.events.types import Event, Ref, StoredEvent
from routerd.resources.net import Interface
from routerd.shapes.instant import format_instant
from tests.api.client import control, dial, fetch, talk
from tests.api.conftest import Served
from tests.api.router import WAN, declared

ROOT = Path(__file__).parent.parent.parent
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(families: Iterable[Metric]) -> Samples:
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


async def scrape(served: Served) -> Samples:
    answer = await fetch(served.status, "/metrics")
    assert answer.status == 200
    return samples(parse_text(answer.body.decode()))


def value(found: Samples, metric: str, /, **labels: str) -> float:
    return found[metric, frozenset(labels.items())]


@pytest.mark.parametrize(
    ("accept", "media", "parse"),
    [
        ("", "text/plain; version=", parse_text),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "text/plain; version=", parse_text),
        (
            f"{OPENMETRICS},text/plain;version=0.0.4;q=0.5",
            "application/openmetrics-text; version=1.0.0",
            parse_openmetrics,
        ),
        ("no/such;;thing,,=", "text/plain; version=", parse_text),
    ],
)
@pytest.mark.parametrize("socket", ["main", "status"])
async def test_both_formats_by_accept(served: Served, socket: str, accept: str, media: str, parse: Any) -> None:
    answer = await fetch(getattr(served, socket), "/metrics", **({"Accept": accept} if accept else {}))
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(media)
    found = samples(parse(answer.body.decode()))
    assert value(found, "routerd_configuration_generation") == 3


async def test_a_daemon_s_socket_has_none(served: Served) -> None:
    assert (await fetch(served.daemon, "/metrics")).status == 404


async def test_events_are_counted_by_the_beginning_of_their_topic(served: Served) -> None:
    log = served.bench.log
    before = await scrape(served)
    await log.append(Event("routerd.test.a.b", "error"), Event("routerd.test.c", "error"), Event("single", "debug"))
    after = await scrape(served)
    assert value(after, "routerd_events_total", topic="routerd.test", severity="error") == 2
    assert value(after, "routerd_events_total", topic="single", severity="debug") == 1
    assert value(after, "routerd_log_newest_event") == log.newest
    name = "routerd_log_commits_total"
    assert value(after, name) == value(before, name) + 1, "one transaction"


def test_topics_cannot_blow_up_the_labels() -> None:
    counted = tally.Tally()
    events = [StoredEvent(n, 0, Event(f"emitted.n{n}.x")) for n in range(5 * tally.MOST)]
    counted.committed(events)
    assert len(counted.events) == tally.MOST + 1
    assert counted.events[tally.OTHERS, "info"] == 4 * tally.MOST
    assert sum(counted.events.values()) == len(events)


async def test_deleted_events_and_the_horizon(served: Served) -> None:
    log = served.bench.log
    deleted = await log.prune(2**62, 5, 10_000)
    found = await scrape(served)
    assert deleted and value(found, "routerd_log_deleted_events_total") == deleted
    assert value(found, "routerd_log_oldest_event") == log.oldest > 1
    assert value(found, "routerd_log_degraded") == 0


async def test_resources(served: Served) -> None:
    found = await scrape(served)
    assert value(found, "routerd_resources", kind="Interface", phase="Up") == 2
    assert value(found, "routerd_resource_phase", kind="DHCPv4Client", name="wan", phase="Bound") == 1
    await served.bench.log.append(status={WAN: {"phase": "Lost"}})
    after = await scrape(served)
    assert value(after, "routerd_resource_phase", kind="DHCPv4Client", name="wan", phase="Lost") == 1
    assert (
        "routerd_resource_phase",
        frozenset({"kind": "DHCPv4Client", "name": "wan", "phase": "Bound"}.items()),
    ) not in after


async def test_a_declared_resource_that_nobody_has_spoken_of_is_unknown(served: Served) -> None:
    running = served.bench.running
    more = (*running.router.resources, declared("Interface", "dmz", Interface("eth9")))
    served.bench.running = attrs.evolve(running, router=Router("home", more))
    found = await scrape(served)
    assert value(found, "routerd_resource_phase", kind="Interface", name="dmz", phase="Unknown") == 1


async def test_controllers_and_configuration(served: Served) -> None:
    bench = served.bench
    bench.running = attrs.evolve(bench.running, pending_error="line 3: no")
    found = await scrape(served)
    assert value(found, "routerd_controller_reconciles_total", controller="route") == 4
    assert value(found, "routerd_controller_reconcile_seconds_total", controller="route") == pytest.approx(0.1)
    assert value(found, "routerd_configuration_pending_error") == 1
    assert value(found, "routerd_event_loop_lag_seconds") == pytest.approx(0.00025)


async def test_daemons(served: Served) -> None:
    wan = {"daemon": "routerd-dhcpv4-client", "resource": "wan"}
    in_an_hour = format_instant(served.bench.log.now() + 3600 * 10**9)
    served.wan.observed = {"expiresAt": in_an_hour}
    served.wan.packets = Packets(3, 2, {"xid": 1, "not-for-us": 4})
    found = await scrape(served)
    assert value(found, "routerd_daemon_phase", phase="Running", **wan) == 1
    assert value(found, "routerd_daemon_health", health="ok", **wan) == 1
    assert 3500 < value(found, "routerd_lease_remaining_seconds", **wan) <= 3600
    assert value(found, "routerd_daemon_packets_total", direction="sent", **wan) == 3
    assert value(found, "routerd_daemon_packets_total", direction="received", **wan) == 2
    assert value(found, "routerd_daemon_packets_dropped_total", reason="not-for-us", **wan) == 4


@pytest.mark.parametrize("observed", [{}, {"expiresAt": ""}, {"expiresAt": "never"}])
async def test_a_lease_without_an_end_has_no_seconds_left(served: Served, observed: dict[str, str]) -> None:
    served.wan.observed = observed
    assert not [key for key in await scrape(served) if key[0] == "routerd_lease_remaining_seconds"]


async def test_a_lease_that_has_ended_has_none_left_either(served: Served) -> None:
    served.wan.observed = {"expiresAt": format_instant(1)}
    wan = {"daemon": "routerd-dhcpv4-client", "resource": "wan"}
    assert value(await scrape(served), "routerd_lease_remaining_seconds", **wan) == 0


async def test_requests_by_operation_and_status(served: Served) -> None:
    for _ in range(3):
        await fetch(served.status, control("/status"))
    await fetch(served.status, control("/events", since="nonsense"))
    await fetch(served.status, "/v1/status")
    for path in ("/no/such/path", "/nor/this"):
        await fetch(served.status, path)
    assert (await fetch(served.status, "/metrics", "POST", b"x" * (1 << 21))).status == 413
    found = await scrape(served)
    name = "routerd_api_requests_total"
    assert value(found, name, operation="GET /status", status="200") == 3
    assert value(found, name, operation="GET /events", status="400") == 1
    assert value(found, name, operation="GET /v1/status", status="404") == 1, "there, but not at this door"
    assert value(found, name, operation="unknown", status="404") == 2, "whatever is made up is one series"
    assert value(found, name, operation="unknown", status="413") == 1
    assert value(await scrape(served), name, operation="GET /metrics", status="200") == 1


async def test_requests_of_one_connection_do_not_mix(served: Served) -> None:
    session = await dial(served.status)
    async with session.stream:
        await session.ask(control("/status"))
        await session.ask("/no/such/path")
    found = await scrape(served)
    assert value(found, "routerd_api_requests_total", operation="unknown", status="404") == 1


async def test_connections_and_streams(served: Served) -> None:
    watcher = await dial(served.status)
    async with watcher.stream:
        await watcher.begin(control("/events"), headers={"Accept": "text/event-stream"})
        await watcher.head()
        found = await scrape(served)
        assert value(found, "routerd_api_connections", socket="status") == 2, "the watcher, and who scrapes"
        assert value(found, "routerd_api_connections", socket="main") == 0
        assert value(found, "routerd_api_connections", socket="daemon") == 0
        assert value(found, "routerd_api_streams", socket="status") == 1
    with trio.fail_after(20):
        while value(await scrape(served), "routerd_api_streams", socket="status"):
            pass


async def test_every_scrape_is_sound_whatever_the_log_holds(served: Served) -> None:
    """Names of resources and topics are quoted."""
    bad = 'a"b\\c\nd\udc80'
    ref = Ref("Interface", bad)
    await served.bench.log.append(
        Event(f"routerd.{bad}.x", resource=ref), status={Ref("Interface", "wan"): {"phase": bad[:5]}}
    )
    found = await scrape(served)
    assert value(found, "routerd_resource_phase", kind="Interface", name="wan", phase=bad[:5]) == 1
    answer = await fetch(served.status, "/metrics", Accept=OPENMETRICS)
    assert samples(parse_openmetrics(answer.body.decode()))


async def test_the_loop_goes_on_during_a_scrape(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing the text happens beside the event loop: others are answered while it has not ended."""
    held, release, answered = trio.Event(), threading.Event(), False
    write = metrics.exposition

    def slow(*arguments: Any) -> Any:
        trio.from_thread.run_sync(held.set)
        assert release.wait(30)
        return write(*arguments)

    monkeypatch.setattr(metrics, "exposition", slow)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetch, served.status, "/metrics")
        await held.wait()
        answered = (await fetch(served.status, control("/status"))).status == 200
        release.set()
    assert answered


def test_names_follow_the_conventions() -> None:
    families = (*figures.FAMILIES, *PROCESS)
    names = [family.name for family in families]
    assert len(set(names)) == len(names)
    for family in families:
        assert re.fullmatch(r"(routerd|process)(_[a-z]+)+", family.name)
        assert family.name.endswith("_total") is (family.kind == "counter")
        assert family.help.endswith(".") and "instance" not in family.labels and "job" not in family.labels


def test_the_page_has_the_table() -> None:
    assert figures.table() in (ROOT / "docs" / "metrics.md").read_text()


def test_starting_costs_nothing_for_metrics() -> None:
    """Nobody who does not scrape pays for the library."""
    program = """if True:
        import sys, routerd.nurseries.root
        print(any(module.startswith(("prometheus", "opentelemetry")) for module in sys.modules))
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"


async def test_a_connection_that_is_one_too_many_is_counted(served: Served) -> None:
    [(_, server)] = [pair for pair in served.bench.traffic._servers if pair[0] == "main"]
    server.capacity = Capacity(whole=0, per_user=0, for_root=0)
    assert b"503" in await talk(served.main, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    assert value(await scrape(served), "routerd_api_connections_refused_total", socket="main") == 1
