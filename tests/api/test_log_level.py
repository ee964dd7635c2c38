"""`POST /log-level`: who chooses what, for how long."""

from __future__ import annotations

import json
from typing import Any

import pytest

from routerd.shapes.instant import format_instant
from tests.api.client import Answer, control, fetch
from tests.api.conftest import Served


async def choose(served: Served, socket: str = "main", **body: Any) -> Answer:
    return await fetch(getattr(served, socket), control("/log-level"), "POST", json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "level", "seconds"),
    [
        ({"level": "debug"}, "debug", 600.0),
        ({"level": "debug", "for": "24h"}, "debug", 86400.0),
        ({"level": "warning"}, "warning", None),
        ({"level": "error", "for": "90s", "kind": "LogLevelRequest"}, "error", 90.0),
        ({"level": "info", "apiVersion": "control.routerd.net/v1alpha1"}, "info", None),
        ({"level": ""}, None, None),
        ({"level": "default"}, None, None),
        ({}, None, None),
    ],
)
async def test_levels(served: Served, body: Any, level: str | None, seconds: float | None) -> None:
    answer = await choose(served, **body)
    assert answer.status == 200 and answer.json["kind"] == "LogLevelResult"
    assert answer.json["level"] == (level or "default")
    assert answer.json.get("until") == (None if seconds is None else format_instant(round(seconds * 1e9)))
    [(chosen, length, actor, causes)] = served.bench.verbosity.chosen
    assert (chosen, length) == (level, seconds) and "pid=" in actor
    [began] = [e for e in (await served.bench.log.tail(9)).events if e.event.topic == "routerd.api.command.requested"]
    assert causes == (began.id,), "why it was changed can be asked"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"level": "trace"}, "level"),
        ({"level": 3}, "level"),
        ({"level": "DEBUG"}, "level"),
        ({"level": "debug", "for": "10"}, "for"),
        ({"level": "debug", "for": "-1s"}, "for"),
        ({"level": "debug", "for": "0s"}, "for"),
        ({"level": "debug", "for": "24h0m1s"}, "for"),
        ({"level": "warning", "for": "99999h"}, "for"),
        ({"level": "default", "for": "10m"}, "for"),
        ({"level": "info", "until": "10m"}, "until"),
        ({"level": "info", "kind": "ApplyRequest"}, "kind"),
    ],
)
async def test_what_is_wrong_changes_nothing(served: Served, body: Any, field: str) -> None:
    answer = await choose(served, **body)
    assert answer.status == 400 and answer.error["field"] == field
    assert "|default" not in answer.error["message"], "the empty word is not offered"
    assert served.bench.verbosity.chosen == []


async def test_the_status_socket_does_not_change_it(served: Served) -> None:
    assert (await choose(served, "status", level="debug")).status == 403
    assert served.bench.verbosity.chosen == []


async def test_runtime_tells_the_level(served: Served) -> None:
    stats = (await fetch(served.status, control("/runtime"))).json
    assert stats["logLevel"] == "info" and "logLevelUntil" not in stats
