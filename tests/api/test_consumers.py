"""Durable consumers: each event comes until it is acknowledged, whatever happened to reader and routerd meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from routerd.api import consumers
from routerd.events.types import Consumed, Event, Filter
from tests.api.client import Answer, control, dial, fetch
from tests.api.conftest import Served, serving
from tests.api.router import open_bench
from tests.api.streams import Stream


async def post(served: Served, path: str, **body: Any) -> Answer:
    return await fetch(served.main, control(path), "POST", json.dumps(body).encode())


async def ack(served: Served, consumer: str, cursor: str) -> Answer:
    return await post(served, "/events/ack", consumer=consumer, cursor=cursor)


async def page(served: Served, **query: Any) -> Any:
    answer = await fetch(served.main, control("/events", **{"consumer": "mail", **query}))
    assert answer.status == 200
    return answer.json


def ids(page: Any) -> list[int]:
    return [one["id"] for one in page["events"]]


async def test_it_comes_again_until_it_is_acknowledged(served: Served) -> None:
    first = await page(served, limit=3)
    assert ids(first) == [1, 2, 3] == ids(await page(served, limit=3))
    answer = await ack(served, "mail", first["cursor"])
    assert answer.status == 200 and answer.json["consumer"]["cursor"] == first["cursor"]
    assert answer.json["consumer"]["lag"] == served.bench.log.newest - 3
    assert ids(await page(served, limit=3))[0] == 4


async def test_consumers_do_not_know_of_each_other(served: Served) -> None:
    await ack(served, "mail", "4")
    assert ids(await page(served, consumer="page"))[0] == 1
    assert ids(await page(served))[0] == 5


async def test_its_place_outlives_routerd(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, serving(bench, tmp_path) as served:
        await ack(served, "mail", "4")
    async with open_bench(tmp_path) as bench, serving(bench, tmp_path) as served:
        assert ids(await page(served, limit=1)) == [5]


async def test_an_acknowledgement_is_not_an_event(served: Served) -> None:
    """It would be one more to acknowledge."""
    newest = served.bench.log.newest
    await ack(served, "mail", str(newest))
    assert served.bench.log.newest == newest
    assert (await page(served))["events"] == []


async def test_filters_and_waiting_are_as_without_a_name(served: Served) -> None:
    await served.bench.log.append(Event("routerd.test.bad", "error"))
    assert [e["topic"] for e in (await page(served, severity="error"))["events"]] == ["routerd.test.bad"]
    await ack(served, "mail", str(served.bench.log.newest))
    assert (await page(served, wait="10ms"))["events"] == []


async def test_a_stream_begins_where_it_stands_and_resumes_by_id(served: Served) -> None:
    await ack(served, "mail", "2")
    for last, expected in ((None, 3), (served.bench.log.format_cursor(4), 5)):
        session = await dial(served.main)
        async with session.stream:
            stream = Stream(session)
            await stream.begin(control("/events", consumer="mail"), **({"Last_Event_ID": last} if last else {}))
            assert (await stream.next())["id"] == expected


async def test_what_retention_took_is_counted(served: Served) -> None:
    log = served.bench.log
    await ack(served, "mail", "2")
    await log.prune(2**62, 5, 1 << 40)
    got = await page(served)
    assert got["lost"] == 3 and ids(got)[0] == log.oldest == 6


async def test_going_back_is_allowed_and_beyond_the_end_is_not(served: Served) -> None:
    await ack(served, "mail", "5")
    assert (await ack(served, "mail", "1")).status == 200
    assert ids(await page(served))[0] == 2
    answer = await ack(served, "mail", "99999")
    assert answer.status == 410 and answer.error["field"] == "cursor"
    assert (await ack(served, "mail", "0123456789ab-1")).status == 410
    assert (await ack(served, "mail", "soon")).status == 400


@pytest.mark.parametrize(
    "query", [{"since": 0}, {"tail": 1}, {"consumer": "No Such"}, {"consumer": ""}, {"consumer": "x" * 64}]
)
async def test_parameters_that_do_not_go_together(served: Served, query: dict[str, Any]) -> None:
    answer = await fetch(served.main, control("/events", **{"consumer": "mail", **query}))
    assert answer.status == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"consumer": "mail"}, "cursor"),
        ({"cursor": "0"}, "consumer"),
        ({"consumer": "api/mail", "cursor": "0"}, "consumer"),
        ({"consumer": "mail", "cursor": 3}, "cursor"),
        ({"consumer": "mail", "cursor": "0", "state": {}}, "state"),
    ],
)
async def test_what_is_wrong_with_an_acknowledgement(served: Served, body: Any, field: str) -> None:
    answer = await post(served, "/events/ack", **body)
    assert answer.status == 400 and answer.error["field"] == field
    assert not served.bench.log.consumers.all()


async def test_the_list_has_routerd_s_own_too(served: Served) -> None:
    log = served.bench.log
    await ack(served, "mail", "3")
    await log.append(consumed={"telemetry/main": Consumed(log.newest)})
    items = (await fetch(served.main, control("/consumers"))).json["items"]
    assert [(one["name"], one["lag"]) for one in items] == [("mail", log.newest - 3), ("telemetry/main", 0)]
    assert items[0]["cursor"] == log.format_cursor(3) and "updatedAt" in items[0]


async def test_deleting(served: Served) -> None:
    await ack(served, "mail", "3")
    assert (await post(served, "/consumers/delete", name="mail")).json["deleted"] == "mail"
    assert (await fetch(served.main, control("/consumers"))).json["items"] == []
    assert ids(await page(served, limit=1)) == [1], "who is forgotten begins anew"
    assert (await post(served, "/consumers/delete", name="mail")).status == 404
    told = (await served.bench.log.read(0, where=Filter(topics=("routerd.api.command.*",)))).events
    assert len(told) == 4, "two acts, each with its end"


async def test_routerd_s_own_cannot_be_deleted(served: Served) -> None:
    await served.bench.log.append(consumed={"telemetry/main": Consumed(1)})
    assert (await post(served, "/consumers/delete", name="telemetry/main")).status == 400
    assert served.bench.log.consumers.get("telemetry/main") is not None


async def test_names_are_not_without_end(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "MOST", 2)
    for name in ("a", "b"):
        assert (await ack(served, name, "0")).status == 200
    assert (await ack(served, "c", "0")).status == 409
    assert (await ack(served, "a", "1")).status == 200


async def test_observers_read_without_a_name(served: Served) -> None:
    """A name is written to disk, and only operators may have that done."""
    assert (await fetch(served.status, control("/events", consumer="mail"))).status == 403
    assert (await fetch(served.status, control("/events"))).status == 200
    assert (await fetch(served.status, control("/consumers"))).status == 403
