"""A process that appends as fast as it can and keeps a journal, until it is killed. Says on standard output which ids
it was told are on disk, one number a line."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import trio

from routerd.events import journal
from routerd.events.log import open_log
from tests.events.saying import CLIENT, WAN, said


async def main(place: Path) -> None:
    """Three that append, one journal."""
    journal.ROTATE = 60_000
    path = place / "events.jsonl"

    async def publish(name: str) -> None:
        number = 0
        while True:
            number += 1
            ids = await log.append(said(message=f"{name}.{number}"), said(follows=(1,)), status={WAN: {name: number}})
            os.write(1, b"".join(b"%d\n" % event_id for event_id in ids))

    async with (
        open_log(place / "routerd.db", cursor_floor=lambda name: journal.last_cursor(path)) as log,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(journal.run_journal, log, CLIENT.name, path)
        for name in "abc":
            nursery.start_soon(publish, name)


if __name__ == "__main__":
    trio.run(partial(main, Path(sys.argv[1])))
