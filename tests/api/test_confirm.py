"""`POST /confirm`, and what is shown of a change on trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from routerd.api.access import ENDED
from routerd.api.change import Confirmation, NotChanged
from routerd.api.wire_changes import Pending
from routerd.events.types import Filter
from routerd.shapes.instant import Instant
from tests.api.client import Answer, control, fetch
from tests.api.conftest import Served

BY = Instant(1_800_000_000 * 10**9)
PENDING = Pending(5, 4, BY, "uid=0 pid=7", token="planted")


async def confirm(served: Served, **body: Any) -> Answer:
    return await fetch(served.main, control("/confirm"), "POST", json.dumps(body).encode())


async def ended(served: Served) -> Mapping[str, str]:
    """What the audit tells of the end."""
    [told] = (await served.bench.log.tail(1, Filter(topics=(ENDED,)))).events
    return told.event.attributes


async def test_it_is_confirmed(served: Served) -> None:
    served.bench.commits.answer = Confirmation(5, True, 77)
    answer = await confirm(served, token="t", kind="ConfirmRequest", apiVersion="control.routerd.net/v1alpha1")
    assert answer.status == 200 and answer.json == {
        "apiVersion": "control.routerd.net/v1alpha1",
        "kind": "ConfirmResult",
        "generation": 5,
        "confirmed": True,
    }
    [(token, seconds, terms)] = served.bench.commits.asked
    assert (token, seconds) == ("t", None) and terms.actor.startswith("uid=") and terms.peer["socket"] == served.main
    audit = await ended(served)
    assert len(terms.causes) == 1 and (audit["outcome"], audit["events"]) == ("succeeded", "77")


async def test_it_is_extended(served: Served) -> None:
    served.bench.commits.answer = Confirmation(5, False, 77, BY)
    answer = await confirm(served, token="t", extend="10m")
    assert (answer.json["confirmed"], answer.json["confirmBy"]) == (False, "2027-01-15T08:00:00Z")
    assert served.bench.commits.asked[0][1] == 600


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "token"),
        ({"token": 5}, "token"),
        ({"token": None}, "token"),
        ({"token": "t", "extend": 5}, "extend"),
        ({"token": "t", "extend": "5"}, "extend"),
        ({"token": "t", "tokn": "t"}, "tokn"),
        ({"token": "t", "kind": "ApplyRequest"}, "kind"),
    ],
)
async def test_bodies_that_are_wrong(served: Served, body: dict[str, Any], field: str) -> None:
    answer = await confirm(served, **body)
    assert (answer.status, answer.error["field"]) == (400, field) and served.bench.commits.asked == []


async def test_a_conflict_and_a_disk_that_is_full(served: Served) -> None:
    served.bench.commits.answer = NotChanged("conflict", "this is not its token", field="token")
    answer = await confirm(served, token="t")
    assert (answer.status, answer.error["field"]) == (409, "token")
    assert (await ended(served))["outcome"] == "conflict"
    served.bench.commits.answer = OSError(28, "No space left on device")
    answer = await confirm(served, token="t")
    assert answer.status == 503 and answer.error["message"] == "it is on trial still: No space left on device"


async def test_a_token_is_in_no_event(served: Served) -> None:
    await confirm(served, token="planted")
    page = await served.bench.log.read(0, limit=1000)
    assert not [one.id for one in page.events if "planted" in repr(one)]


async def test_the_status_shows_what_waits_and_never_its_token(served: Served) -> None:
    assert "pendingCommit" not in (await fetch(served.status, control("/status"))).json["status"]
    served.bench.commits.pending = PENDING
    for socket in (served.status, served.main):
        answer = await fetch(socket, control("/status"))
        assert answer.json["status"]["pendingCommit"] == {
            "generation": 5,
            "previous": 4,
            "confirmBy": "2027-01-15T08:00:00Z",
            "actor": "uid=0 pid=7",
        }
    served.bench.commits.pending = attrs.evolve(PENDING, confirm_by=Instant(BY + 10**9))
    status = (await fetch(served.status, control("/status"))).json["status"]
    assert status["pendingCommit"]["confirmBy"] == "2027-01-15T08:00:01Z"
    served.bench.commits.pending = None
    assert "pendingCommit" not in (await fetch(served.status, control("/status"))).json["status"]


@pytest.mark.parametrize("path", [control("/status"), control("/events"), control("/nowhere"), "/livez"])
async def test_every_answer_says_that_something_is_on_trial(path: str, served: Served) -> None:
    assert "x-routerd-pending" not in (await fetch(served.status, path)).headers
    served.bench.commits.pending = PENDING
    for socket in (served.status, served.main):
        assert (await fetch(socket, path)).headers["x-routerd-pending"] == "5 2027-01-15T08:00:00Z"
