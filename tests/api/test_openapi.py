"""The document is valid, complete, and made of what serves. That every answer keeps to it, `client.check` sees to."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from routerd.api import openapi
from routerd.api.app import OPERATIONS
from routerd.api.wire_resources import StoredEvent
from routerd.api.wire_status import RuntimeStats
from routerd.shapes.convert import fields_of
from tests.api.client import Answer, check, control, document


def test_it_is_valid() -> None:
    validate(document())  # type: ignore[arg-type]


def test_every_operation_is_in_it_once() -> None:
    described = {(method.upper(), path) for path, item in document()["paths"].items() for method in item}
    assert described == {(operation.method, operation.path) for operation in OPERATIONS}
    assert len(described) == len(OPERATIONS)
    names = [one["operationId"] for item in document()["paths"].values() for one in item.values()]
    assert len(set(names)) == len(names)


def test_every_error_is_the_same_shape() -> None:
    for item in document()["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                media = response["content"].get("application/json") or next(iter(response["content"].values()))
                schema = media["schema"]
                assert status in ("200", "503") or schema == {"$ref": "#/components/schemas/Error"}


def test_parameters_carry_their_names_and_bounds() -> None:
    params = {one["name"]: one for one in document()["paths"][control("/events")]["get"]["parameters"]}
    assert set(params) == {"since", "tail", "wait", "topic", "resource", "severity", "limit", "consumer"}
    assert params["limit"]["schema"] == {"type": "integer", "minimum": 1, "default": 100}
    assert params["topic"]["schema"]["type"] == "array" and not params["topic"]["required"]
    assert params["wait"]["schema"]["default"] == "0s"
    [target] = [p for p in document()["paths"][control("/describe")]["get"]["parameters"] if p["name"] == "target"]
    assert target["required"] is True


def test_what_changes_the_configuration_may_be_conditional() -> None:
    paths = document()["paths"]
    for path in ("/apply", "/delete", "/rollback"):
        operation = paths[control(path)]["post"]
        [condition] = [one for one in operation["parameters"] if one["in"] == "header"]
        assert (condition["name"], condition["required"]) == ("If-Match", False)
        assert {"409", "412", "503"} <= operation["responses"].keys()
        assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("Request")
    assert not [one for one in paths[control("/plan")]["post"]["parameters"] if one["in"] == "header"]


def test_who_may_and_where_stands_in_it() -> None:
    operation = document()["paths"]["/v1/commands/{command}"]["post"]
    assert operation["tags"] == ["daemon"] and operation["description"] == "Takes the role operator."
    assert operation["parameters"][0] == {
        "name": "command",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
    }


def test_names_are_the_contract_s() -> None:
    """Spelling that a rule does not give away."""
    assert {"numGoroutine", "numGC", "gcPauseTotalNs", "lastGC", "openFds", "heapAllocBytes"} <= set(
        fields_of(RuntimeStats)
    )
    assert {"resourceApiVersion", "sourceKind", "createdAt"} <= set(fields_of(StoredEvent))
    assert "requestId" in document()["components"]["schemas"]["Error"]["properties"]


GOOD: dict[str, Any] = {
    "apiVersion": "control.routerd.net/v1alpha1",
    "kind": "Controllers",
    "metadata": {"name": "controllers"},
    "items": [{"name": "route", "mode": "live", "currentError": False}],
}


def answered(body: Any, status: int = 200) -> Answer:
    data = openapi.orjson.dumps(body)
    headers = {"content-type": "application/json", "content-length": str(len(data)), "x-request-id": "1"}
    return Answer(status, headers, data)


def test_the_check_of_answers_can_fail() -> None:
    target = control("/controllers")
    check("GET", target, answered(GOOD))
    for path, value in (
        (("kind",), "Status"),
        (("items", 0, "reconcileCount"), 1.5),
        (("extra",), 1),
        (("items",), None),
    ):
        bad = copy.deepcopy(GOOD)
        place: Any = bad
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        with pytest.raises(jsonschema.ValidationError):
            check("GET", target, answered(bad))
    with pytest.raises(KeyError):
        check("GET", target, answered(GOOD, 202))
