"""`GET /generations`: the configurations that there have been, and how they differ."""

from __future__ import annotations

import re

import attrs
from quart.wrappers import Response

from routerd.api.access import Role, role_of
from routerd.api.ending import ended
from routerd.api.operation import Call, Operation, answer, count
from routerd.api.refusal import Refusal
from routerd.api.wire import PREFIX, encode
from routerd.api.wire_changes import Generation, Generations
from routerd.api.wire_resources import GenerationRecord, Ledger


async def get_generations(call: Call) -> Response:
    """`GET /generations`. The token is for admins, by the main socket."""
    changes, running = call.plane.changes, call.plane.running
    pending = changes.pending
    body = Generations(
        current=running.generation,
        waiting=running.waiting,
        pending=pending if pending is None or _by_admin(call) else attrs.evolve(pending, token=None),
        items=await changes.generations(call.query["limit"]),
    )
    return answer(encode(body), ETag=f'"{running.waiting or running.generation}"')


async def get_generation(call: Call) -> Response:
    """`GET /generations/{number}`. The text may hold secrets: it is for admins, by the main socket."""
    number = call.path["number"]
    if not re.fullmatch(r"[0-9]{1,18}", number):
        raise Refusal(404, "not-found", f"{number[:60]} is not the number of a generation", field="number")
    found: Generation = await ended(call, call.plane.changes.generation(int(number)))
    return answer(encode(found if _by_admin(call) else attrs.evolve(found, yaml=None)))


def _by_admin(call: Call) -> bool:
    return call.doorway.kind == "main" and role_of(call.client.peer, call.doorway.groups) is Role.ADMIN


async def ledger(call: Call) -> Ledger:
    """The generations as `GET /get` tells them."""
    items = await call.plane.changes.generations(call.query["limit"] or 20)
    records = [
        GenerationRecord(one.generation, one.started_at, one.has_yaml, one.finished_at, one.phase, one.config_hash)
        for one in items
    ]
    return Ledger(call.plane.log.degraded or "ok", records)


OPERATIONS = (
    Operation(
        "GET",
        f"{PREFIX}/generations",
        "The configurations that there have been, the newest first.",
        Role.OBSERVER,
        get_generations,
        Generations,
        (count("limit", "Generations in the answer.", 20, least=1, most=1000),),
        errors=(503,),
    ),
    Operation(
        "GET",
        f"{PREFIX}/generations/{{number}}",
        "One of them, and how it differs from the one before; its text for admins.",
        Role.OBSERVER,
        get_generation,
        Generation,
        errors=(409, 503),
    ),
)
