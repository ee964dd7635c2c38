"""JSON Schema from types: valid, complete, and of one mind with the converter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs
import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from routerd.shapes.convert import from_wire, to_wire
from routerd.shapes.duration import Duration
from routerd.shapes.invalid import Problems
from routerd.shapes.limits import Between, Each
from routerd.shapes.schema import Refs, schema_of
from routerd.shapes.secret import Secret
from tests.shapes.test_convert import JSON, OUTERS, Outer


def validator(cls: type) -> Draft202012Validator:
    refs = Refs()
    schema = schema_of(cls, refs)
    whole = {**schema, "$defs": refs.schemas}
    Draft202012Validator.check_schema(whole)
    return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)


OUTER = validator(Outer)


@given(OUTERS)
def test_what_we_send_is_what_the_schema_says(value: Outer) -> None:
    OUTER.validate(to_wire(value))


@given(JSON)
def test_what_the_converter_takes_the_schema_takes(data: Any) -> None:
    try:
        from_wire(Outer, data)
    except Problems as problems:
        structural = all(problem.code.startswith("schema.") for problem in problems.problems)
        assert not (structural and OUTER.is_valid(data))
    else:
        assert OUTER.is_valid(data)


def test_a_class_in_full() -> None:
    @attrs.frozen
    class Client:
        """Acquires a lease."""

        interface: str = attrs.field(metadata={"help": "Where.", "example": "wan"})
        window: Duration = attrs.field(default=Duration(90.0), metadata={"help": "How long."})
        metric: int | None = attrs.field(default=None, validator=Between(0, 7))
        codes: tuple[int, ...] = attrs.field(default=(), validator=Each(Between(1, 254), 64))
        mode: Literal["probe", "skip"] = "probe"
        secret: Secret | None = None
        labels: Mapping[str, str] = attrs.field(factory=dict)

    refs = Refs("#/components/schemas/")
    assert schema_of(Client, refs) == {"$ref": "#/components/schemas/Client"}
    schema = refs.schemas["Client"]
    duration = schema["properties"]["window"].pop("pattern")
    assert duration.startswith("^(0|")
    assert schema == {
        "type": "object",
        "description": "Acquires a lease.",
        "properties": {
            "interface": {"type": "string", "description": "Where.", "examples": ["wan"]},
            "window": {"type": "string", "description": "How long.", "default": "1m30s"},
            "metric": {"type": "integer", "minimum": 0, "maximum": 7},
            "codes": {
                "type": "array",
                "items": {"type": "integer", "minimum": 1, "maximum": 254},
                "maxItems": 64,
                "uniqueItems": True,
                "default": [],
            },
            "mode": {"enum": ["probe", "skip"], "type": "string", "default": "probe"},
            "secret": {"type": "string", "format": "password"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}},
        },
        "required": ["interface"],
        "additionalProperties": False,
    }


def test_an_answers_fields_are_required_unless_they_can_be_absent() -> None:
    @attrs.frozen
    class Answer:
        name: str
        ready: bool = False
        reason: str | None = None
        warnings: tuple[str, ...] = attrs.field(default=(), metadata={"omit_default": True})

    refs = Refs(answers=True)
    schema_of(Answer, refs)
    assert refs.schemas["Answer"]["required"] == ["name", "ready"]


def test_classes_that_hold_themselves_and_names_that_clash() -> None:
    @attrs.frozen
    class Tree:
        children: tuple[Tree, ...] = ()

    Tree.__annotations__["children"] = tuple[Tree, ...]
    attrs.resolve_types(Tree, localns={"Tree": Tree})
    refs = Refs()
    schema_of(Tree, refs)
    assert refs.schemas["Tree"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}
    with pytest.raises(ValueError, match="share a name"):
        schema_of(attrs.make_class("Tree", []), refs)


def test_a_type_without_a_schema_is_our_own_fault() -> None:
    with pytest.raises(TypeError, match="no JSON Schema"):
        schema_of(object, Refs())
