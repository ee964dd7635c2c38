"""Durable consumers: who reads events under a name goes on where it said it was, whatever happened to it or to routerd
meanwhile. Each event comes at least once: it comes again until it is acknowledged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs
from quart.wrappers import Response

from routerd.api.body import body_of
from routerd.api.events import CONSUMER_NAME, OURS, position
from routerd.api.operation import Call, answer
from routerd.api.refusal import Refusal
from routerd.api.wire import CONTROL, ControlVersion, encode
from routerd.events.log import Log
from routerd.events.types import Consumed, Consumer
from routerd.shapes.instant import Instant

MOST = 64
"""Names that clients may take: each is written to disk and kept until it is deleted."""


@attrs.frozen
class AckRequest:
    """`POST /events/ack`: everything up to `cursor` is done with."""

    consumer: str = attrs.field(validator=CONSUMER_NAME)
    cursor: str
    api_version: ControlVersion | None = None
    kind: Literal["AckRequest"] | None = None


@attrs.frozen
class ConsumerItem:
    """A durable consumer: `lag` counts the events after its cursor, of every kind. One whose name has a `/` is a part
    of routerd itself."""

    name: str
    cursor: str
    lag: int
    updated_at: Instant


@attrs.frozen(kw_only=True)
class AckResult:
    """Where the consumer stands now."""

    api_version: ControlVersion = CONTROL
    kind: Literal["AckResult"] = "AckResult"
    consumer: ConsumerItem


@attrs.frozen(kw_only=True)
class Consumers:
    """`GET /consumers`, by name."""

    api_version: ControlVersion = CONTROL
    kind: Literal["Consumers"] = "Consumers"
    items: Sequence[ConsumerItem]


@attrs.frozen
class DeleteConsumerRequest:
    """`POST /consumers/delete`."""

    name: str = attrs.field(validator=CONSUMER_NAME)
    api_version: ControlVersion | None = None
    kind: Literal["DeleteConsumerRequest"] | None = None


@attrs.frozen(kw_only=True)
class DeleteConsumerResult:
    """It is not there any more."""

    api_version: ControlVersion = CONTROL
    kind: Literal["DeleteConsumerResult"] = "DeleteConsumerResult"
    deleted: str


async def post_ack(call: Call) -> Response:
    """`POST /events/ack`. It is on disk when this is answered. Not told as an event: it would be one more to
    acknowledge."""
    asked = await body_of(call, AckRequest)
    log = call.plane.log
    cursor = position(log, asked.cursor, "cursor")
    known = log.consumers.get(OURS + asked.consumer)
    if known is None and sum(one.name.startswith(OURS) for one in log.consumers.all()) >= MOST:
        raise Refusal(409, "consumers.many", f"there are {MOST} consumers already", hint="POST /consumers/delete one")
    await log.append(consumed={OURS + asked.consumer: Consumed(cursor)})
    stands = log.consumers.get(OURS + asked.consumer)
    if stands is None:
        raise Refusal(409, "consumers.deleted", f"{asked.consumer} was deleted meanwhile", field="consumer")
    return answer(encode(AckResult(consumer=_item(log, stands))))


async def get_consumers(call: Call) -> Response:
    """`GET /consumers`."""
    log = call.plane.log
    items = sorted((_item(log, one) for one in log.consumers.all()), key=lambda item: item.name)
    return answer(encode(Consumers(items=items)))


async def post_delete(call: Call) -> Response:
    """`POST /consumers/delete`."""
    asked = await body_of(call, DeleteConsumerRequest)
    if call.plane.log.consumers.get(OURS + asked.name) is None:
        raise Refusal(404, "not-found", f"there is no consumer {asked.name}", field="name", hint="GET /consumers")
    await call.plane.log.append(consumed={OURS + asked.name: None})
    return answer(encode(DeleteConsumerResult(deleted=asked.name)))


def _item(log: Log, one: Consumer) -> ConsumerItem:
    name = one.name.removeprefix(OURS)
    lag = max(log.newest - max(one.cursor, log.oldest - 1), 0)
    return ConsumerItem(name, log.format_cursor(one.cursor), lag, Instant(one.updated_at))
