"""What is published under docs/api is what is served, and each schema is whole and true."""

from __future__ import annotations

from pathlib import Path

import attrs
import jsonschema
import orjson
import pytest

from routerd.api.app import OPERATIONS
from routerd.api.published import files
from tests.api.client import control, fetch
from tests.api.conftest import Served

PUBLISHED = Path(__file__).parents[2] / "docs" / "api"
SCHEMAS = [name for name in files() if name.endswith(".json") and name != "openapi.json"]


def test_it_is_up_to_date() -> None:
    written = {path.name: path.read_bytes() for path in PUBLISHED.iterdir()}
    assert written == files(), "python -m routerd.api.published docs/api"


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_schema_is_one_by_itself(name: str) -> None:
    schema = orjson.loads(files()[name])
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert not validator.is_valid(["no", "object"]), "every reference in it is found in it"


async def test_an_answer_keeps_to_its_schema(served: Served) -> None:
    for path, name in (("/status", "StatusAnswer"), ("/controllers", "ControllersAnswer"), ("/nothing", "Error")):
        answer = await fetch(served.main, control(path))
        jsonschema.Draft202012Validator(orjson.loads(files()[f"{name}.json"])).validate(answer.json)


def test_every_answer_and_body_is_there() -> None:
    names = {cls.__name__ for op in OPERATIONS for cls in (op.answer, op.body) if attrs.has(cls)}
    assert {f"{name}.json" for name in names} <= set(SCHEMAS)
