"""A value that may be wrong in places, taken as far as it goes: so that one pass finds all there is to find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, get_args, get_origin

import attrs

from routerd.shapes.convert import fields_of, from_wire, present
from routerd.shapes.invalid import Path, Problem, Problems

T = TypeVar("T")


def taken(cls: type[T], data: Any) -> tuple[T | None, list[Problem]]:
    """`data` as `cls`, or None, and everything that is wrong with it.

    Fields that are wrong are left away and the rest is looked at again, because what an object says as a whole is
    heard only when each of its fields is right. What merely follows from leaving away is not told.
    """
    problems: list[Problem] = []
    left_away: set[str | int] = set()
    while True:
        try:
            return from_wire(cls, without(data, left_away)), problems
        except Problems as error:
            problems += [problem for problem in error.problems if not (left_away and _follows(problem, left_away))]
            wrong = top_level(error.problems) - left_away
            if not isinstance(data, dict) or not wrong & data.keys():
                return None, problems
            left_away |= wrong


def draft(cls: type, data: Any, problems: list[Problem], *bases: type) -> Any:
    """What is right in `data`: an object with the fields of `cls`, None where there is nothing usable. None when
    `data` is no mapping. With `bases` it is one of those, too, and has their defaults."""
    if not isinstance(data, dict):
        return None
    return from_wire(_draft_of(cls, *bases), without(data, top_level(problems)))


def parts(cls: type, data: Any, problems: list[Problem], path: Path) -> Iterator[tuple[Path, Any]]:
    """The objects in fields that are wrong, each with its path. One that is wrong itself is of its class all the same,
    with what is right of it, and None where something had to be."""
    given = data if isinstance(data, dict) else {}
    for wire in fields_of(cls).keys() & top_level(problems) & given.keys():
        yield from _inside(fields_of(cls)[wire].type, given[wire], (*path, wire))


def _inside(tp: Any, data: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    tp = present(tp)
    inside: Any = get_origin(tp)
    if isinstance(tp, type) and attrs.has(tp):
        right, problems = taken(tp, data)
        yield path, draft(tp, data, problems, tp) if right is None else right
        yield from parts(tp, data, problems, path)
    elif isinstance(inside, type) and issubclass(inside, Mapping) and isinstance(data, dict):
        for name, value in data.items():
            yield from _inside(get_args(tp)[1], value, (*path, name))
    elif isinstance(inside, type) and issubclass(inside, Sequence) and isinstance(data, list):
        for number, item in enumerate(data):
            yield from _inside(get_args(tp)[0], item, (*path, number))


def without(data: Any, names: set[str | int]) -> Any:
    """A mapping without some of its keys."""
    return {name: value for name, value in data.items() if name not in names} if names else data


def top_level(problems: list[Problem] | tuple[Problem, ...]) -> set[str | int]:
    """The keys at the top under which something is wrong."""
    return {problem.path[0] for problem in problems if problem.path}


def _follows(problem: Problem, left_away: set[str | int]) -> bool:
    return problem.code in ("schema.required", "value.required") or bool(left_away.intersection(problem.path[:1]))


@cache
def _draft_of(cls: type, *bases: type) -> type:
    """A class with the fields of `cls` that asks nothing of them."""
    fields = {
        field.name: attrs.field(
            default=None if not bases or field.default is attrs.NOTHING else field.default,
            type=field.type,
            metadata=field.metadata,
        )
        for field in fields_of(cls).values()
    }
    body = {"__attrs_post_init__": lambda _: None}
    return attrs.make_class(
        f"{cls.__name__}Draft", fields, bases or (object,), class_body=body, frozen=True, slots=True
    )
