"""A Telemetry in a real routerd process: every event reaches the collector, whatever is killed; nothing is held up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.router import document
from tests.router.process import Process
from tests.telemetry.collector import Collector, collecting

PROTOBUF = "google/_upb"
"""The compiled part of what opentelemetry stands on."""
TELEMETRY = """
    - apiVersion: observability.routerd.net/v1alpha1
      kind: Telemetry
      metadata: {name: main}
      spec: {endpoint: "%s", interval: 1s, timeout: 5s, severity: debug}
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def begin(routerd: Process, collector: Collector) -> None:
    routerd.config.write_text(document(("wan", "eth0")) + TELEMETRY % collector.endpoint)
    routerd.start()
    routerd.until(routerd.bound)


def phase(routerd: Process) -> str:
    described = routerd.get("/describe?target=Telemetry/main")
    return str(described["resource"]["status"]["phase"])


def test_every_event_arrives_whatever_is_killed(routerd: Process, collector: Collector) -> None:
    begin(routerd, collector)
    routerd.until(lambda: collector.records)
    routerd.until(lambda: phase(routerd) == "Healthy", within=120)
    collector.held.clear()
    routerd.command("renew")
    routerd.kill()
    collector.held.set()
    routerd.start()
    routerd.until(routerd.in_use)
    epoch = routerd.get("/events?tail=1")["epoch"]
    newest = routerd.get("/events?tail=1")["newest"]
    routerd.until(lambda: f"{epoch}-{newest}" in collector.cursors, within=120)
    ids = sorted({int(cursor.removeprefix(f"{epoch}-")) for cursor in collector.cursors})
    assert ids == list(range(ids[0], ids[-1] + 1)), "not one is missing since it was declared"
    assert collector.metrics
    told = routerd.get("/events?topic=routerd.resource.status.changed&resource=Telemetry/main&limit=1000")["events"]
    assert len(told) < 10, "what is sent is no news by itself"


def test_a_collector_that_hangs_does_not_hold_up_the_end(routerd: Process, collector: Collector) -> None:
    collector.held.clear()
    begin(routerd, collector)
    routerd.until(lambda: len(collector.paths) >= 2)
    assert routerd.stop() < 10
    assert "Traceback" not in routerd.log


def test_without_one_nothing_of_it_is_loaded(routerd: Process, collector: Collector) -> None:
    begin(routerd, collector)
    routerd.until(lambda: collector.metrics)
    assert PROTOBUF in routerd.libraries()
    routerd.stop()
    routerd.config.write_text(document(("wan", "eth0")))
    routerd.start()
    routerd.until(routerd.in_use)
    assert PROTOBUF not in routerd.libraries()
    assert routerd.ask("/api/control.routerd.net/v1alpha1/describe?target=Telemetry/main")[0] == 404
