"""attrs classes to JSON-able values and back. Nothing is coerced on the way in (`"false"` is no boolean, `1.0` no
integer, `null` no value), unknown keys are refused, and all that is wrong is told at once. Absent (None by default) is
left out on the way out; a Secret leaves as `***`."""

from __future__ import annotations

import operator
import types
from collections.abc import Callable, Iterator, Sequence, Set
from functools import cache, partial
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import attrs
import cattrs
from cattrs.cols import (
    homogenous_tuple_structure_factory,
    is_mapping,
    is_mutable_sequence,
    is_sequence,
    list_structure_factory,
    mapping_structure_factory,
)
from cattrs.errors import BaseValidationError, ClassValidationError, ForbiddenExtraKeysError, IterableValidationError
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from routerd.shapes.duration import Duration, Period, format_duration
from routerd.shapes.instant import Instant, format_instant
from routerd.shapes.invalid import Invalid, Path, Problem, Problems, described, did_you_mean
from routerd.shapes.names import wire_name
from routerd.shapes.scalars import HOOKS, Hint, Hook, no_hint
from routerd.shapes.secret import Secret

T = TypeVar("T")


def to_wire(value: Any, tp: Any = None) -> Any:
    """Any of our values as dicts, lists and scalars that every JSON writer takes. `tp`: its declared type, which a
    duration alone does not know."""
    return _converter.unstructure(value, unstructure_as=tp)


def from_wire(cls: type[T], data: Any) -> T:
    """`data`, as JSON gives it, as `cls`. Raises Problems."""
    try:
        return _converter.structure(data, cls)
    except (Invalid, Problems, BaseValidationError) as error:
        raise Problems(tuple(_problems(error, ()))) from None


@cache
def fields_of(cls: type) -> dict[str, attrs.Attribute[Any]]:
    """The fields of an attrs class by their wire names, their types resolved."""
    attrs.resolve_types(cls)
    return {wire_name(field): field for field in attrs.fields(cls) if field.init}


def present(tp: Any) -> Any:
    """The type of a value that is there: `X` for `X | None`."""
    if get_origin(tp) in (Union, types.UnionType) and type(None) in get_args(tp):
        return Union[tuple(arg for arg in get_args(tp) if arg is not type(None))]  # noqa: UP007
    return tp


def _is_literal(tp: Any) -> bool:
    origin: Any = get_origin(tp)
    return origin is Literal


def _literal(tp: Any) -> Hook:
    choices = get_args(tp)
    listed = "|".join(filter(None, map(str, choices)))  # nobody is told to write nothing
    what = f"one of {listed}" if len(choices) > 1 else listed

    def structure(value: Any, _: Any) -> Any:
        if not any(value == choice and type(value) is type(choice) for choice in choices):
            hint = did_you_mean(value, map(str, choices)) if isinstance(value, str) else ""
            raise Invalid("schema.enum", f"{described(value)} is not {what}", f"expected {listed}", hint)
        return value

    return structure


def _strict(kind: type | tuple[type, ...], name: str, inner: Hook, hint: Hint = no_hint) -> Hook:
    def structure(value: Any, tp: Any) -> Any:
        if not isinstance(value, kind):
            raise Invalid("schema.type", f"expected {name}, got {described(value)}", f"expected {name}", hint(value))
        return inner(value, tp)

    return structure


def _as_list(value: Any) -> str:
    if isinstance(value, dict):
        return 'write it as a list: put "- " before it' if value else ""
    written = described(value).removeprefix("the number ")
    return "write it as a list" if "…" in written else f"write it as a list: [{written}]"


def _checked(field: attrs.Attribute[Any], converter: cattrs.Converter) -> Hook:
    """Structure one field, then ask its validator, so that what it says bears the field's path. The hook of its type is
    looked for when a value comes: a class may have itself inside."""
    tp = present(field.type)

    def structure(value: Any, _: Any) -> Any:
        if value is None and tp is not Any:
            raise Invalid("schema.type", "nothing is given here", "expected a value", "leave the field out altogether")
        try:
            taken = converter.get_structure_hook(tp)(value, tp)
            if field.validator is not None:
                field.validator(None, field, taken)
        except Invalid as invalid:
            if field.metadata.get("sensitive"):
                raise Invalid(invalid.code, invalid.expected, invalid.expected) from None
            raise
        return taken

    return structure


def _overrides(cls: type, converter: cattrs.Converter, *, inward: bool) -> dict[str, Any]:
    return {
        field.name: override(
            rename=name,
            omit_if_default=field.default is None or bool(field.metadata.get("omit_default")),
            struct_hook=_checked(field, converter) if inward else None,
        )
        for name, field in fields_of(cls).items()
    }


def _structure_class(cls: type, converter: cattrs.Converter) -> Hook:
    overrides = _overrides(cls, converter, inward=True)
    inner: Hook = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=True, **overrides)
    return _strict(dict, "a mapping", inner)


def _unstructure_class(cls: type, converter: cattrs.Converter) -> Callable[[Any], Any]:
    return make_dict_unstructure_fn(cls, converter, **_overrides(cls, converter, inward=False))


def _build() -> cattrs.Converter:
    converter = cattrs.Converter(unstruct_collection_overrides={Sequence: list, tuple: list, Set: list})

    def listing(make: Callable[[Any, cattrs.Converter], Hook]) -> Callable[[Any, cattrs.Converter], Hook]:
        return lambda tp, converter: _strict((list, tuple), "a list", make(tp, converter), _as_list)

    converter.register_structure_hook_factory(is_mutable_sequence, listing(list_structure_factory))
    converter.register_structure_hook_factory(is_sequence, listing(homogenous_tuple_structure_factory))
    converter.register_structure_hook_factory(
        is_mapping, lambda tp, converter: _strict(dict, "a mapping", mapping_structure_factory(tp, converter))
    )
    converter.register_structure_hook_factory(_is_literal, _literal)
    converter.register_structure_hook_factory(attrs.has, _structure_class)
    converter.register_unstructure_hook_factory(attrs.has, _unstructure_class)
    for tp, hook in HOOKS.items():
        if isinstance(tp, type):
            converter.register_structure_hook(tp, hook)
        else:  # NewTypes and unions are not classes: ask by equality
            converter.register_structure_hook_func(partial(operator.eq, tp), hook)
    converter.register_unstructure_hook_func(lambda tp: tp in (Duration, Period), format_duration)
    converter.register_unstructure_hook_func(lambda tp: tp is Instant, format_instant)
    converter.register_unstructure_hook(Secret, lambda _: "***")
    converter.register_unstructure_hook(bytes, bytes.hex)
    for family in (IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network):
        converter.register_unstructure_hook(family, str)
    return converter


_converter = _build()


def _problems(error: Exception, path: Path) -> Iterator[Problem]:
    """Flatten cattrs' tree of exceptions."""
    match error:
        case ClassValidationError():
            noted, others = error.group_exceptions()
            wires = {field.name: name for name, field in fields_of(error.cl).items()}
            for inner, note in noted:
                yield from _problems(inner, (*path, wires[note.name]))
            for inner in others:
                yield from (
                    _unknown(inner, path) if isinstance(inner, ForbiddenExtraKeysError) else _problems(inner, path)
                )
        case IterableValidationError():
            for inner, place in error.group_exceptions()[0]:
                yield from _problems(inner, (*path, place.index))
        case KeyError():
            yield Problem(path, "schema.required", "is required", f"expected {path[-1]}")
        case Problems():
            yield from (attrs.evolve(problem, path=path + problem.path) for problem in error.problems)
        case Invalid(field=""):
            yield Problem.of(error, path)
        case Invalid():
            yield Problem.of(error, (*path, error.field))
        case ValueError():
            yield Problem(path, "value", str(error))
        case _:
            raise error


def _unknown(error: ForbiddenExtraKeysError, path: Path) -> Iterator[Problem]:
    known = fields_of(error.cl)
    for name in sorted(error.extra_fields):
        hint = did_you_mean(name, known) or f"it has {', '.join(known)}"
        yield Problem((*path, name), "schema.unknown-field", "is not a field here", "unknown field", hint, at="key")
