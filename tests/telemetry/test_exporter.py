"""A Telemetry at work, against a collector that decodes what comes; one that hangs, refuses, or has not the wits."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from routerd.events.types import Event, Ref
from routerd.nurseries.telemetry import opener
from routerd.resources.observability import Header, Telemetry
from routerd.shapes.duration import Duration
from routerd.shapes.secret import Secret
from routerd.telemetry import exporter as module
from routerd.telemetry.exporter import Exporter
from tests.api.router import Bench, open_bench
from tests.telemetry.collector import Collector, attributes, collecting

PATIENCE = 30.0


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events do not wait for others here, and attempts follow one another closely."""
    monkeypatch.setattr(module, "LINGER", 0.01)
    monkeypatch.setattr(module, "RETRY", (0.02, 0.1))
    monkeypatch.setattr(module, "SLACK", 0.5)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path) as bench:
        yield bench


@attrs.define
class Running:
    """An exporter at work. `changes` are its states, as they were told."""

    exporter: Exporter
    changes: list[str]

    async def until(self, holds: Callable[[], object]) -> None:
        with trio.fail_after(PATIENCE):
            while not holds():  # noqa: ASYNC110  (what threads and another server do has no event here)
                await trio.sleep(0.01)


def events_only(collector: Collector, **more: Any) -> Telemetry:
    return Telemetry(collector.endpoint, signals=("events",), timeout=Duration(1.0), **more)


@asynccontextmanager
async def running(bench: Bench, spec: Telemetry) -> AsyncIterator[Running]:
    changes: list[str] = []
    one = Exporter("main", spec, bench, opener(bench), lambda: changes.append(one.state.phase))
    bench.exports["main"] = one.sent
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        now = Running(one, changes)
        if "events" in spec.signals and not spec.ca_file:
            await now.until(lambda: bench.log.consumers.get("telemetry/main") is not None)
        yield now
        nursery.cancel_scope.cancel()


async def say(bench: Bench, *numbers: int) -> list[str]:
    ids = await bench.log.append(*(Event(f"routerd.test.n{n}", message=f"number {n}") for n in numbers))
    return [bench.log.format_cursor(one) for one in ids]


# What comes


async def test_events_come_as_log_records(bench: Bench, collector: Collector) -> None:
    async with running(bench, events_only(collector)) as now:
        said = Event(
            "routerd.test.said",
            "warning",
            "Said",
            "a word",
            Ref("DHCPv4Client", "wan"),
            attributes={"xid": "7"},
            time=5,
        )
        [number] = await bench.log.append(said)
        await now.until(lambda: now.exporter.sent.events == 1)
    [record] = collector.records
    assert record.body.string_value == "a word" and record.event_name == "routerd.test.said"
    assert (record.severity_text, record.severity_number) == ("WARNING", 13)
    assert record.time_unix_nano == 5 and record.observed_time_unix_nano > 0
    assert attributes(record) == {
        "routerd.topic": "routerd.test.said",
        "routerd.reason": "Said",
        "routerd.actor": "routerd",
        "routerd.resource.kind": "DHCPv4Client",
        "routerd.resource.name": "wan",
        "routerd.event.cursor": bench.log.format_cursor(number),
        "xid": "7",
    }
    [resource] = [one.resource for one in collector.logs[0].resource_logs]
    found = attributes(resource)
    assert found["service.name"] == "routerd" and found["service.instance.id"] == "home"
    assert collector.paths == ["/v1/logs"], "nothing of before it was declared, and no metrics"


async def test_the_status_goes_from_pending_to_healthy(bench: Bench, collector: Collector) -> None:
    async with running(bench, events_only(collector)) as now:
        assert now.exporter.state.phase == "Pending"
        await say(bench, 1)
        await now.until(lambda: now.changes)
    assert now.changes == ["Healthy"]


async def test_severity_is_a_threshold(bench: Bench, collector: Collector) -> None:
    async with running(bench, events_only(collector, severity="warning")) as now:
        await bench.log.append(Event("routerd.test.a", "info"), Event("routerd.test.b", "error"))
        await now.until(lambda: collector.records)
        await now.until(lambda: (bench.log.consumers.get("telemetry/main") or pytest.fail()).cursor == bench.log.newest)
    assert [record.event_name for record in collector.records] == ["routerd.test.b"]


async def test_metrics_come_under_the_names_of_the_page(bench: Bench, collector: Collector) -> None:
    spec = Telemetry(f"{collector.endpoint}/", signals=("metrics",), interval=Duration(1.0))
    async with running(bench, spec) as now:
        await now.until(lambda: len(collector.metrics) >= 2)
        assert now.exporter.sent.reports >= 1
    assert collector.figure("routerd_configuration_generation") == [({}, 3.0)]
    assert ({"kind": "Interface", "phase": "Up"}, 2.0) in collector.figure("routerd_resources")
    assert ({"controller": "route"}, 4.0) in collector.figure("routerd_controller_reconciles")
    assert collector.figure("process_open_fds")[0][1] > 0
    assert ({"telemetry": "main"}, 1.0) in collector.figure("routerd_telemetry_reports")
    assert set(collector.paths) == {"/v1/metrics"}


async def test_secrets_go_to_the_collector_and_nowhere_else(
    bench: Bench, collector: Collector, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    token = tmp_path / "token"
    token.write_text("Bearer from-a-file\n")
    headers = (Header("Authorization", file=str(token)), Header("X-Tenant", Secret("t0p-secret")))
    collector.answers = [500]
    async with running(bench, events_only(collector, headers=headers)) as now:
        await say(bench, 1)
        await now.until(lambda: collector.records)
    assert collector.headers[0]["authorization"] == "Bearer from-a-file"
    assert collector.headers[0]["x-tenant"] == "t0p-secret"
    told = caplog.text + repr(headers) + "".join(str(e) for e in (await bench.log.read(0)).events)
    assert "t0p-secret" not in told and "from-a-file" not in told


# What goes wrong


@pytest.mark.parametrize("status", [429, 500, 503, 401, 404, 302])
async def test_what_is_not_taken_comes_again_and_once(bench: Bench, collector: Collector, status: int) -> None:
    collector.answers = [status] * 3
    async with running(bench, events_only(collector)) as now:
        said = await say(bench, 1)
        await now.until(lambda: "Degraded" in now.changes)
        assert str(status) in now.exporter.state.message and now.exporter.state.reason == "ExportFailed"
        said += await say(bench, 2, 3)
        await now.until(lambda: now.changes[-1] == "Healthy" and len(collector.records) == 3)
    assert collector.cursors == said
    assert now.exporter.sent.failures >= 1 and now.exporter.sent.dropped == now.exporter.sent.rejected == 0


async def test_a_batch_that_is_bad_is_not_sent_for_ever(bench: Bench, collector: Collector) -> None:
    collector.answers = [400]
    async with running(bench, events_only(collector)) as now:
        await say(bench, 1)
        await now.until(lambda: now.exporter.sent.rejected)
        said = await say(bench, 2)
        await now.until(lambda: collector.records)
    assert collector.cursors == said and now.exporter.sent.rejected == 1


async def test_one_that_is_not_there_is_tried_until_it_is(bench: Bench) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    spec = Telemetry(f"http://127.0.0.1:{port}", signals=("events",), timeout=Duration(1.0))
    async with running(bench, spec) as now:
        said = await say(bench, *range(20))
        await now.until(lambda: "Degraded" in now.changes)
        assert now.exporter.state.message == "events: Connection refused"
        with collecting(port) as collector:
            await now.until(lambda: now.changes[-1] == "Healthy")
            assert collector.cursors == said


async def test_one_that_hangs_holds_up_neither_the_loop_nor_the_end(bench: Bench, collector: Collector) -> None:
    collector.held.clear()
    spec = Telemetry(collector.endpoint, timeout=Duration(30.0), interval=Duration(1.0))
    with trio.fail_after(PATIENCE / 2):
        async with running(bench, spec) as now:
            await say(bench, 1)
            await now.until(lambda: len(collector.paths) == 2)
            await say(bench, 2)


async def test_one_that_hangs_is_degraded(bench: Bench, collector: Collector) -> None:
    collector.held.clear()
    async with running(bench, events_only(collector)) as now:
        said = await say(bench, 1)
        await now.until(lambda: "Degraded" in now.changes)
        collector.held.set()
        await now.until(lambda: now.changes[-1] == "Healthy")
    assert set(collector.cursors) == set(said)


async def test_events_that_wait_too_long_are_passed_over_and_counted(bench: Bench, collector: Collector) -> None:
    collector.answers = [503] * 4
    async with running(bench, events_only(collector, queue_size=100)) as now:
        await say(bench, 0)
        await now.until(lambda: now.exporter.sent.failures)
        said = await say(bench, *range(1, 300))
        await now.until(lambda: now.exporter.sent.events + now.exporter.sent.dropped == 300)
        sent, dropped = now.exporter.sent.events, now.exporter.sent.dropped
    assert dropped
    assert collector.cursors == said[-sent:], "the newest of them, in order"


async def test_it_goes_on_after_a_restart_where_it_was(bench: Bench, collector: Collector) -> None:
    spec = events_only(collector)
    async with running(bench, spec) as now:
        said = await say(bench, 1, 2)
        await now.until(lambda: len(collector.records) == 2)
        await now.until(lambda: (bench.log.consumers.get("telemetry/main") or pytest.fail()).cursor == bench.log.newest)
    said += await say(bench, 3, 4)
    async with running(bench, spec) as now:
        await now.until(lambda: len(collector.records) == 4)
    assert collector.cursors == said, "those of meanwhile, too, and none twice"


async def test_events_that_retention_took_are_counted(bench: Bench, collector: Collector) -> None:
    spec = events_only(collector)
    async with running(bench, spec):
        pass
    await say(bench, *range(20))
    behind = bench.log.newest - (bench.log.consumers.get("telemetry/main") or pytest.fail()).cursor
    deleted = await bench.log.prune(2**62, bench.log.newest - 5, 1 << 30)
    assert deleted
    async with running(bench, spec) as now:
        await now.until(lambda: len(collector.records) + now.exporter.sent.dropped == behind)
        assert collector.records and now.exporter.sent.dropped


# What is missing


async def test_without_the_packages_it_says_what_to_install(
    bench: Bench, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "routerd.telemetry.otlp", raising=False)
    monkeypatch.delattr("routerd.telemetry.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    spec = Telemetry(collector.endpoint, signals=("metrics",))
    async with running(bench, spec) as now:
        await now.until(lambda: now.changes)
        state = now.exporter.state
        assert (state.phase, state.reason) == ("Error", "DependencyUnmet")
        assert "pip install 'routerd[otlp]'" in state.message
        monkeypatch.undo()
        await now.until(lambda: collector.metrics)
        changes = now.changes
    assert changes[:2] == ["Error", "Pending"], "once they are there it goes on by itself"


async def test_a_header_s_file_that_is_missing_is_told(bench: Bench, collector: Collector, tmp_path: Path) -> None:
    token = tmp_path / "token"
    spec = events_only(collector, headers=(Header("Authorization", file=str(token)),), ca_file=str(token))
    async with running(bench, spec) as now:
        await now.until(lambda: now.changes)
        state = now.exporter.state
        assert (state.phase, state.reason) == ("Error", "FileUnreadable")
        assert state.message == f"{token}: No such file or directory"
        token.write_text("x")
        await now.until(lambda: now.changes[-1] == "Pending")


async def test_a_collector_that_nobody_vouches_for_gets_nothing(bench: Bench, tmp_path: Path) -> None:
    """TLS: its certificate is not known."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    if not _make_certificate(certificate, key):
        pytest.skip("no openssl here")
    with collecting() as collector:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        listener = await trio.open_ssl_over_tcp_listeners(0, context, host="127.0.0.1")
        port = listener[0].transport_listener.socket.getsockname()[1]  # type: ignore[attr-defined]
        spec = Telemetry(f"https://127.0.0.1:{port}", signals=("events",), timeout=Duration(2.0))
        async with trio.open_nursery() as nursery:

            async def handle(stream: trio.SSLStream[trio.SocketStream]) -> None:
                try:
                    await stream.do_handshake()
                except (trio.BrokenResourceError, ssl.SSLError):
                    return
                pytest.fail("it went on")

            nursery.start_soon(trio.serve_listeners, handle, listener)
            async with running(bench, spec) as now:
                await say(bench, 1)
                await now.until(lambda: now.changes)
                assert now.exporter.state.phase == "Degraded"
                assert "CERTIFICATE_VERIFY_FAILED" in now.exporter.state.message.upper().replace(" ", "_")
            nursery.cancel_scope.cancel()
        assert not collector.records


def _make_certificate(certificate: Path, key: Path) -> bool:
    if shutil.which("openssl") is None:
        return False
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    subprocess.run(["openssl", *words, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return True
