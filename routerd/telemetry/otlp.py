"""Events as log records and figures as metrics, sent by OTLP over HTTP. The one module that knows opentelemetry.

Everything here blocks: call it in a thread. Nothing is kept: the caller tries again what could not be delivered."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import requests
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from requests.adapters import HTTPAdapter

from routerd import __version__
from routerd.api.metric import Reading
from routerd.events.types import Event, Severity, StoredEvent
from routerd.resources.observability import Header, Telemetry
from routerd.telemetry.delivery import Delivery

SCOPE = InstrumentationScope("routerd", __version__)
SEVERITIES: Mapping[Severity, SeverityNumber] = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
}
BAD = frozenset({400, 413, 422})
"""Statuses that say that this very request is wrong: it would be the next time, too."""

# Of each failure we tell ourselves, once; the library tells of each attempt.
logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)


@attrs.define(eq=False)
class Line:
    """An adapter of requests that remembers how the last attempt ended: its callers tell only that they failed."""

    adapter: HTTPAdapter = attrs.field(factory=HTTPAdapter)
    status: int | None = None
    error: str = ""

    def send(self, request: Any, **options: Any) -> requests.Response:
        """As HTTPAdapter does."""
        self.begin()
        try:
            response = self.adapter.send(request, **options)
        except requests.RequestException as error:
            self.error = _words(error)
            raise
        self.status = response.status_code
        return response

    def begin(self) -> None:
        """Nothing has come of it yet."""
        self.status, self.error = None, "the request could not be made"

    def close(self) -> None:
        """As HTTPAdapter does."""
        self.adapter.close()

    @property
    def delivery(self) -> Delivery:
        """What came of it. The library takes a redirection for a success."""
        if self.status is None:
            return Delivery(False, self.error)
        if 200 <= self.status < 300:
            return Delivery(True)
        return Delivery(False, f"the collector answered {self.status}", final=self.status in BAD)


class Sender:
    """A way to the collector. Raises OSError when a file that the Telemetry names cannot be read."""

    def __init__(self, spec: Telemetry, host: str, router: str, started_at: int) -> None:
        identity = {"service.instance.id": router, "host.name": host}
        self._resource = Resource({"service.name": "routerd", "service.version": __version__, **identity})
        self._started_at = started_at
        self._events, self._metrics = Line(), Line()
        base = spec.endpoint.rstrip("/")
        self._logs = OTLPLogExporter(endpoint=f"{base}/v1/logs", **_options(spec, self._events))
        self._figures = OTLPMetricExporter(endpoint=f"{base}/v1/metrics", **_options(spec, self._metrics))

    def send_events(self, epoch: str, events: Sequence[StoredEvent]) -> Delivery:
        """Deliver events of this epoch of the log."""
        self._events.begin()
        self._logs.export([ReadableLogRecord(record(epoch, one), self._resource, SCOPE) for one in events])
        return self._events.delivery

    def send_metrics(self, readings: Sequence[Reading], at: int) -> Delivery:
        """Deliver figures as they were at that time (ns)."""
        self._metrics.begin()
        metrics = [metric(reading, self._started_at, at) for reading in readings if reading.samples]
        scope = ScopeMetrics(SCOPE, metrics, "")
        self._figures.export(MetricsData([ResourceMetrics(self._resource, [scope], "")]))
        return self._metrics.delivery

    def close(self) -> None:
        """End; an attempt that is under way does not begin again."""
        self._logs.shutdown()  # type: ignore[no-untyped-call]
        self._figures.shutdown()


def _options(spec: Telemetry, line: Line) -> dict[str, Any]:
    """How one signal's exporter is made. Raises OSError."""
    session = requests.Session()
    session.trust_env = False  # neither proxies nor passwords of whoever started us
    for scheme in ("http://", "https://"):
        session.mount(scheme, line)  # type: ignore[arg-type]
    if spec.ca_file is not None:
        Path(spec.ca_file).read_bytes()  # that it cannot be read is told now, and not as a fault of the line
    return {
        "headers": {header.name: _value(header) for header in spec.headers},
        "timeout": spec.timeout,
        "compression": Compression.Gzip,
        "session": session,
        "certificate_file": spec.ca_file,
    }


def _value(header: Header) -> str:
    """Raises OSError."""
    if header.file is not None:
        return Path(header.file).read_text("utf-8", "replace").strip()
    assert header.secret is not None, "it has one of the two"
    return header.secret.reveal()


def record(epoch: str, stored: StoredEvent) -> LogRecord:
    """An event as a log record. `routerd.event.cursor` is its cursor: a record that comes twice has the same."""
    event = stored.event
    return LogRecord(
        timestamp=event.time,
        observed_timestamp=stored.created_at,
        severity_text=event.severity.upper(),
        severity_number=SEVERITIES[event.severity],
        body=event.message or event.reason or event.topic,
        event_name=event.topic,
        attributes={
            **{f"routerd.{name}": value for name, value in _about(event).items() if value},
            **event.attributes,
            "routerd.event.cursor": f"{epoch}-{stored.id}",
        },
    )


def _about(event: Event) -> Mapping[str, str]:
    source, resource = event.source, event.resource
    return {
        "topic": event.topic,
        "reason": event.reason,
        "actor": event.actor,
        "source": source.name if source is not None else "",
        "resource.kind": resource.kind if resource is not None else "",
        "resource.name": resource.name if resource is not None else "",
    }


def metric(reading: Reading, started_at: int, at: int) -> Metric:
    """A figure as a metric. A counter has no `_total` here: who writes it for Prometheus adds that."""
    family = reading.family
    points = [
        NumberDataPoint(dict(zip(family.labels, labels, strict=True)), started_at, at, value)
        for labels, value in reading.samples
    ]
    name = family.name.removesuffix("_total")
    if family.kind == "counter":
        data: Sum | Gauge = Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True)
    else:
        data = Gauge(points)
    return Metric(name, family.help, "s" if name.endswith("_seconds") else "1", data)


def _words(error: BaseException) -> str:
    """The innermost reason of a request that failed, as the system says it."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror and not isinstance(inner, requests.RequestException):
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    return "no answer in time" if isinstance(error, requests.Timeout) else type(error).__name__
