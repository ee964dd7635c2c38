"""`GET /metrics`: the figures as Prometheus reads them, in its text format or as OpenMetrics.

prometheus_client is loaded by the first scrape, and everything but the reading itself happens in a thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs
import trio
from quart.wrappers import Response

from routerd.api.figures import read, read_process
from routerd.api.metric import Reading
from routerd.api.operation import Call
from routerd.api.plane import Plane

if TYPE_CHECKING:
    from prometheus_client import Metric

MEDIA = ("text/plain", "application/openmetrics-text")


async def serve_metrics(call: Call) -> Response:
    """`GET /metrics`."""
    accept = call.request.headers.get("Accept", "")
    body, media = await trio.to_thread.run_sync(exposition, read(call.plane), call.plane, accept)
    return Response(body, content_type=media)


def exposition(readings: list[Reading], plane: Plane, accept: str) -> tuple[bytes, str]:
    """The readings, those of the process among them, in the format that an Accept header asks for; and its media type.
    Blocking: call it in a thread."""
    from prometheus_client.exposition import choose_encoder

    encode, media = choose_encoder(accept)
    return encode(_Scrape([*readings, *read_process(plane)])), media


@attrs.frozen
class _Scrape:
    """What prometheus_client takes for a registry: one scrape's metrics."""

    readings: list[Reading]

    def collect(self) -> Iterator[Metric]:
        from prometheus_client import Metric

        for reading in self.readings:
            family = reading.family
            metric = Metric(family.name.removesuffix("_total"), family.help, family.kind)
            for values, value in reading.samples:
                metric.add_sample(family.name, dict(zip(family.labels, values, strict=True)), value)
            yield metric
