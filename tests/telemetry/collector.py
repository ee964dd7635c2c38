"""A collector that really listens and decodes what comes, and misbehaves as it is told."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest


@attrs.define(eq=False)
class Collector:
    """`answers` are the statuses of the next requests, then 200; while `held` is not set, none is answered. What it has
    answered with 200 is in `logs` and `metrics`."""

    port: int = 0
    answers: list[int] = attrs.field(factory=list)
    held: threading.Event = attrs.field(factory=threading.Event)
    paths: list[str] = attrs.field(factory=list)
    headers: list[dict[str, str]] = attrs.field(factory=list)
    logs: list[Any] = attrs.field(factory=list)
    metrics: list[Any] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.held.set()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def records(self) -> list[Any]:
        """All log records, in the order in which they came."""
        return [
            record
            for request in self.logs
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    @property
    def cursors(self) -> list[str]:
        """Which events they are of."""
        return [attributes(record)["routerd.event.cursor"] for record in self.records]

    def figure(self, name: str) -> list[tuple[dict[str, Any], float]]:
        """The points of a metric in the last report."""
        [found] = [
            metric
            for resource in self.metrics[-1].resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
        ]
        points = found.sum.data_points if found.HasField("sum") else found.gauge.data_points
        return [(attributes(point), point.as_double) for point in points]

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """What a request is answered with."""
        self.paths.append(path)
        self.headers.append(headers)
        assert self.held.wait(60)
        status = self.answers.pop(0) if self.answers else 200
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        request = {"/v1/logs": ExportLogsServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}[path]()
        request.ParseFromString(body)
        if status == 200:
            (self.logs if path == "/v1/logs" else self.metrics).append(request)
        return status


def attributes(message: Any) -> dict[str, Any]:
    """Of a resource, a record, a point."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in message.attributes}


@contextmanager
def collecting(port: int = 0) -> Iterator[Collector]:
    """One that listens on 127.0.0.1, at a free port if none is named."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = collector.take(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: Any) -> None:
            """A client that has gone."""

    with Server(("127.0.0.1", port), Handler) as server:
        collector.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield collector
        finally:
            collector.held.set()
            server.shutdown()
            thread.join()
