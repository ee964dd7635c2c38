"""`POST /log-level`: how much the process's log tells, for a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import attrs
from quart.wrappers import Response

from routerd.api.body import body_of
from routerd.api.operation import Call, answer
from routerd.api.plane import Level
from routerd.api.refusal import Refusal
from routerd.api.wire import CONTROL, ControlVersion, encode
from routerd.shapes.duration import Duration
from routerd.shapes.instant import Instant

DEBUGGING = Duration(600.0)
"""Seconds for which `debug` holds when nobody says how long: a disk is full sooner than one remembers."""

LONGEST = 86400.0
"""Seconds for which a level may hold: for more, leave it out and be the one who ends it."""


@attrs.frozen
class LogLevelRequest:
    """`POST /log-level`. `default` (or nothing) is the level of the command line. `for`: so long, then that level
    again, at most 24h; without it `debug` holds for 10m, and the others without end."""

    api_version: ControlVersion | None = None
    kind: Literal["LogLevelRequest"] | None = None
    level: Literal["", "default", "debug", "info", "warning", "error"] = ""
    lasting: Duration | None = attrs.field(default=None, metadata={"name": "for"})


@attrs.frozen(kw_only=True)
class LogLevelResult:
    """`level` as it is chosen now; `until` when it falls back by itself."""

    api_version: ControlVersion = CONTROL
    kind: Literal["LogLevelResult"] = "LogLevelResult"
    level: Literal["default", "debug", "info", "warning", "error"]
    until: Instant | None = None


_CHOICES: Mapping[str, Level] = {level: level for level in get_args(Level)}
"""The others are the command line's."""


async def post_log_level(call: Call) -> Response:
    """`POST /log-level`."""
    asked = await body_of(call, LogLevelRequest)
    level = _CHOICES.get(asked.level)
    verbosity = call.plane.verbosity
    event = await verbosity.choose(level, _seconds(level, asked.lasting), call.client.actor, (call.act.began,))
    call.act.led_to = (event,)
    until = None if verbosity.until is None else Instant(verbosity.until)
    return answer(encode(LogLevelResult(level=level or "default", until=until)))


def _seconds(level: Level | None, lasting: Duration | None) -> float | None:
    """How long it holds. Raises Refusal (400)."""
    if lasting is not None and level is None:
        raise Refusal(400, "body.conflict", "the default level holds without end", field="for", hint="leave it out")
    if lasting is not None and not lasting:
        raise Refusal(400, "value.duration", "it would end at once", field="for", hint="for example 10m")
    if lasting is not None and lasting > LONGEST:
        raise Refusal(400, "value.range", "it may hold for 24h at most", field="for", hint="for example 10m")
    return DEBUGGING if level == "debug" and lasting is None else lasting
