"""A Telemetry in a real routerd process: every event reaches the collector, whatever is killed; nothing is held up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.router import PREFIX, document
from tests.router.process import Process
from tests.telemetry.collector import Collector, collecting

LONG = 120.0
"""Seconds in which even a machine that has much else to do has loaded opentelemetry."""
PROTOBUF = "google/_upb"
"""The compiled part of what opentelemetry stands on."""
TELEMETRY = """
    - apiVersion: observability.routerd.net/v1alpha1
      kind: Telemetry
      metadata: {name: main}
      spec: {endpoint: "%s", interval: 1s, timeout: 60s, severity: debug}
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def begin(routerd: Process, collector: Collector) -> None:
    routerd.config.write_text(document(("wan", "eth0")) + TELEMETRY % collector.endpoint)
    routerd.start()


def phase(routerd: Process) -> str:
    described = routerd.get("/describe?target=Telemetry/main")
    return str(described["resource"].get("status", {}).get("phase"))


def test_every_event_arrives_whatever_is_killed(routerd: Process, collector: Collector) -> None:
    begin(routerd, collector)
    routerd.until(lambda: collector.records and phase(routerd) == "Healthy" and routerd.bound(), LONG)
    collector.held.clear()
    routerd.command("renew")
    routerd.kill()
    collector.held.set()
    routerd.start()
    page = routerd.get("/events?tail=1")
    epoch, newest = page["epoch"], page["newest"]
    routerd.until(lambda: f"{epoch}-{newest}" in collector.cursors, LONG)
    ids = sorted({int(cursor.removeprefix(f"{epoch}-")) for cursor in collector.cursors})
    assert ids == list(range(ids[0], ids[-1] + 1)), "not one is missing since it was declared"
    assert collector.metrics
    told = routerd.get("/events?topic=routerd.resource.status.changed&resource=Telemetry/main&limit=1000")["events"]
    news = [{"phase", "reason", "message"} & {*event["attributes"]["changedFields"].split(",")} for event in told]
    assert told and all(news), "what is sent is no news by itself"


def test_a_collector_that_hangs_does_not_hold_up_the_end(routerd: Process, collector: Collector) -> None:
    collector.held.clear()
    begin(routerd, collector)
    routerd.until(lambda: len(collector.paths) >= 2, LONG)
    assert routerd.stop() < 10
    assert "Traceback" not in routerd.log


def test_without_one_nothing_of_it_is_loaded(routerd: Process, collector: Collector) -> None:
    begin(routerd, collector)
    routerd.until(lambda: collector.metrics, LONG)
    assert PROTOBUF in routerd.libraries()
    routerd.stop()
    routerd.config.write_text(document(("wan", "eth0")))
    routerd.start()
    routerd.until(lambda: routerd.ask(f"{PREFIX}/describe?target=Telemetry/main")[0] == 404)
    assert PROTOBUF not in routerd.libraries()
