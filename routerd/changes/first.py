"""The configuration that the process was started with, before anything else runs."""

from __future__ import annotations

from routerd.api.change import Terms
from routerd.api.plane import Running
from routerd.changes.draft import find
from routerd.changes.generations import Generations
from routerd.changes.told import Teller
from routerd.config import Router
from routerd.events.log import Log
from routerd.events.types import Source
from routerd.events.writer import Runner


async def first(
    log: Log, generations: Generations, router: Router, path: str, source: Source, run_sync: Runner
) -> Running:
    """Put it in force: the same configuration keeps its number over a restart, and there is no event for a no-op."""
    octets, latest, terms = router.text.encode(), generations.latest, Terms()
    teller = Teller(log, generations, source, path)
    if latest is not None and latest.config_hash == generations.hash_of(router):
        number, records = latest.generation, []
        if number == in_force(log):
            return Running(router, number, log.now(), path)
    else:
        number = await run_sync(generations.next_number, octets)
        await run_sync(generations.keep_if_possible, number, octets)
        before = None if latest is None else await run_sync(_text_as_router, generations, latest.generation)
        records = [teller.record(router, number, before, terms)]
    status = teller.status(router, number) | {one.ref: one.status for one in records}
    gone = [*teller.namesakes(router), *(one.ref for one in generations.surplus((number,)))]
    await log.append(teller.applied(router, number, terms), status=status, gone=gone)
    return Running(router, number, log.now(), path)


def in_force(log: Log) -> int:
    """The generation that was in force last, in this life or the one before; 0: none ever was."""
    return max((one.status.get("generation", 0) for one in log.objects.of_kind("Router")), default=0)


def _text_as_router(generations: Generations, number: int) -> Router | None:
    """A generation, if its text can still be read. Blocks."""
    return find(generations.text_of(number), f"generation {number}", lambda router: None).router
