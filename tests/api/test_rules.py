"""`POST /rules/test`: what a rule would have said, and what is no rule."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from routerd.events.types import Event, Ref
from tests.api.client import Answer, fetch
from tests.api.conftest import Served

PATH = "/api/control.routerd.net/v1alpha1/rules/test"
RULE = """
apiVersion: net.routerd.net/v1alpha1
kind: EventRule
metadata: {name: flap}
spec:
  pattern: {operator: count, topic: home.door, threshold: 2, correlate_by: resource.name}
  emit: {topic: home.flap, attributes: {n: "${count} at ${attributes.at}"}}
"""
ROUTER = "apiVersion: routerd.net/v1alpha1\nkind: Router\nmetadata: {name: r}\nspec:\n  resources:\n"


def indented(text: str, first: str, rest: str) -> str:
    """As an item of a list."""
    lines = text.strip().splitlines()
    return "\n".join([first + lines[0], *(rest + line for line in lines[1:])]) + "\n"


def door(name: str | None = "front", at: str = "noon") -> Event:
    return Event("home.door", resource=Ref("Door", name) if name else None, attributes={"at": at})


async def ask(served: Served, socket: str = "main", **body: Any) -> Answer:
    return await fetch(getattr(served, socket), PATH, method="POST", body=orjson.dumps(body))


@pytest.mark.parametrize(
    "text",
    [
        RULE,
        indented(RULE, "- ", "  "),
        ROUTER + indented(RULE, "    - ", "      "),
        ROUTER + "    - {kind: Teapot}\n" + indented(RULE, "    - ", "      "),  # Others are not looked at.
    ],
)
async def test_when_it_would_have_fired(served: Served, text: str) -> None:
    log = served.bench.log
    ids = await log.append(door(), door("back"), door(None), door(at="night"))
    answer = await ask(served, ruleYaml=text)
    assert answer.status == 200
    told = answer.json
    assert (told["kind"], told["rule"], told["events"]) == ("RuleTest", "EventRule/flap", 4)
    assert told["from"] < told["to"]
    (fired,) = told["fired"]
    assert fired.pop("time").startswith(told["to"][:4])
    assert fired == {
        "eventId": ids[3],
        "topic": "home.flap",
        "correlation": "front",
        "inputs": [ids[0], ids[3]],
        "attributes": {"n": "2 at night", "correlation": "front"},
    }
    assert told["warnings"] == ["1 event was passed over, without what it correlates by"]
    assert log.newest == ids[3], "nothing is changed"


async def test_how_far_back_and_how_often(served: Served) -> None:
    log = served.bench.log
    await log.append(*[door() for _ in range(20)])
    told = (await ask(served, ruleYaml=RULE, limit=3)).json
    assert [firing["inputs"][-1] - log.newest + 20 for firing in told["fired"]] == [2, 4, 6]
    assert told["warnings"] == ["it would have fired more than 3 times: what came later was not looked at"]
    assert (await ask(served, ruleYaml=RULE, since="0s")).json["events"] == 0
    assert len((await ask(served, ruleYaml=RULE, since="1h")).json["fired"]) == 10


@pytest.mark.parametrize(
    ("body", "code", "field", "words"),
    [
        ({}, "body.missing", "ruleYaml", "requires ruleYaml"),
        ({"ruleYaml": " "}, "yaml.empty", None, "ruleYaml"),
        ({"ruleYaml": "just text"}, "body.rule", "ruleYaml", "no EventRule"),
        ({"ruleYaml": RULE.replace("EventRule", "Interface")}, "body.rule", "ruleYaml", "no EventRule"),
        ({"ruleYaml": indented(RULE, "- ", "  ") * 2}, "body.rule", "ruleYaml", "2 EventRules"),
        ({"ruleYaml": "a: ["}, "yaml.syntax", None, "bad request: ruleYaml:1:"),
        ({"ruleYaml": RULE.replace("count", "cuont", 1)}, "schema.enum", "spec.pattern.operator", "ruleYaml:6:23"),
        ({"ruleYaml": RULE.replace("net.", "met.", 1)}, "schema.api-version", "apiVersion", "ruleYaml:2:13"),
        ({"ruleYaml": RULE, "since": "yesterday"}, "schema.duration", "since", "not a duration"),
        ({"ruleYaml": RULE, "limit": 0}, "schema.range", "limit", "not between"),
        ({"ruleYaml": RULE, "colour": 1}, "schema.unknown-field", "colour", "not a field"),
        ({"ruleYaml": 5}, "schema.type", "ruleYaml", "expected text"),
    ],
)
async def test_what_is_no_rule(served: Served, body: dict[str, Any], code: str, field: str | None, words: str) -> None:
    answer = await ask(served, **body)
    assert (answer.status, answer.error["code"], answer.error.get("field")) == (400, code, field)
    assert words in answer.error["message"]


async def test_a_faulty_rule_is_shown_with_its_place(served: Served) -> None:
    text = indented(RULE.replace("threshold: 2", "threshold: two"), "- ", "  ")
    error = (await ask(served, ruleYaml=text)).error
    assert (error["line"], error["code"]) == (5, "schema.type")
    assert error["errors"][0]["excerpt"].splitlines()[1].strip() == f"--> ruleYaml:5:{error['column']}"
