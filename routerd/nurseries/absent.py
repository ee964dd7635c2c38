"""What is said of resources whose daemon does not run, by who would run it: that they wait, or are forgotten."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import trio

from routerd.controllers.view import View
from routerd.events.log import Log
from routerd.events.status import differs
from routerd.events.types import Ref, Status


async def speak_for(log: Log, view: View, waiting: Mapping[Ref, Status], gone: Collection[Ref]) -> None:
    """Forget those that are not declared any more. For those that the gate does not let in we speak, once they have
    said their goodbye; then what they had is withdrawn, while what they keep on the disk stays."""
    await trio.lowlevel.checkpoint()
    stored = {ref: one.status for ref in waiting if (one := log.objects.get(ref)) is not None}
    changed = {ref: status for ref, status in waiting.items() if differs(stored.get(ref), status)}
    if gone or changed:
        because = {ref: view.newest((view.configuration, *view.grounds(ref))) for ref in changed}
        await log.append(status=changed, gone=gone, because=because)
