"""JSON Schema (2020-12, as OpenAPI 3.1 takes it) from attrs types: what `convert` accepts and sends, described by each
field's `metadata["help"]`, default, limits and format."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any, Literal, Union, get_args, get_origin

import attrs

from routerd.shapes import duration
from routerd.shapes.convert import fields_of, present, to_wire
from routerd.shapes.duration import Duration, Period
from routerd.shapes.instant import Instant
from routerd.shapes.secret import Secret

Schema = dict[str, Any]

_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(\.{_OCTET}){{3}}"
_IPV4_PREFIXED = {"type": "string", "pattern": rf"^{_IPV4}/(3[0-2]|[12]?[0-9])$"}
_IPV6_PREFIXED = {"type": "string", "pattern": r"^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*/(12[0-8]|1[01][0-9]|[1-9]?[0-9])$"}

SCALARS: dict[Any, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bytes: {"type": "string", "pattern": "^([0-9A-Fa-f]{2})*$"},
    type(None): {"type": "null"},
    Any: {},
    Secret: {"type": "string", "format": "password"},
    Duration: {"type": "string", "pattern": duration.PATTERN},
    Period: {"type": "string", "pattern": duration.PERIOD_PATTERN},
    Instant: {"type": "string", "format": "date-time"},
    IPv4Address: {"type": "string", "format": "ipv4", "pattern": f"^{_IPV4}$"},
    IPv6Address: {"type": "string", "format": "ipv6"},
    IPv4Interface: _IPV4_PREFIXED,
    IPv4Network: _IPV4_PREFIXED,
    IPv6Interface: _IPV6_PREFIXED,
    IPv6Network: _IPV6_PREFIXED,
}


@attrs.define
class Refs:
    """Schemas of the classes met on the way, by class name, and where a `$ref` finds them. `answers`: describe what
    is sent rather than what is accepted: then a field is required when it is never left out."""

    prefix: str = "#/$defs/"
    answers: bool = False
    schemas: dict[str, Schema] = attrs.field(factory=dict)
    _classes: dict[str, type] = attrs.field(factory=dict)

    def to(self, cls: type) -> Schema:
        """A reference to the schema of an attrs class. ValueError when two classes share a name."""
        name = cls.__name__
        if self._classes.setdefault(name, cls) is not cls:
            raise ValueError(f"{cls.__module__}.{name} and {self._classes[name].__module__}.{name} share a name")
        if name not in self.schemas:
            self.schemas[name] = {}  # so that a class that holds itself ends here
            self.schemas[name] = _class_schema(cls, self)
        return {"$ref": self.prefix + name}


def schema_of(tp: Any, refs: Refs) -> Schema:
    """The schema of a type; of an attrs class, a reference into `refs`."""
    if tp in SCALARS:
        return dict(SCALARS[tp])
    if isinstance(tp, type) and attrs.has(tp):
        return refs.to(tp)
    origin, args = get_origin(tp), get_args(tp)
    if origin is Literal:
        return {"enum": list(args)} | ({"type": "string"} if all(isinstance(arg, str) for arg in args) else {})
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(arg, refs) for arg in args]}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": schema_of(args[1], refs)}
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return {"type": "array", "items": schema_of(args[0], refs)}
    raise TypeError(f"no JSON Schema for {tp!r}")


def _class_schema(cls: type, refs: Refs) -> Schema:
    fields = fields_of(cls)
    required = [name for name, field in fields.items() if _required(field, refs.answers)]
    return {
        "type": "object",
        **({"description": inspect.cleandoc(cls.__doc__)} if cls.__doc__ else {}),
        "properties": {name: _field_schema(field, refs) for name, field in fields.items()},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _required(field: attrs.Attribute[Any], answers: bool) -> bool:
    if answers:
        return field.default is not None and not field.metadata.get("omit_default")
    return field.default is attrs.NOTHING


def _field_schema(field: attrs.Attribute[Any], refs: Refs) -> Schema:
    optional = field.default is None
    schema = schema_of(present(field.type) if optional else field.type, refs)
    limit = getattr(field.validator, "schema", None)
    if limit is not None:
        schema = _merged(schema, limit())
    if "help" in field.metadata:
        schema["description"] = field.metadata["help"]
    if "example" in field.metadata:
        schema["examples"] = [field.metadata["example"]]
    if field.default is not attrs.NOTHING and not optional and not refs.answers:
        schema["default"] = default_of(field)
    return schema


def default_of(field: attrs.Attribute[Any]) -> Any:
    """A field's default as it would be written."""
    value: Any = field.default
    value = value.factory() if isinstance(value, attrs.Factory) else value  # type: ignore[arg-type]
    return duration.format_duration(value) if field.type is Duration else to_wire(value)


def _merged(schema: Schema, limit: Schema) -> Schema:
    both = schema.keys() & limit.keys()
    return schema | limit | {key: schema[key] | limit[key] for key in both}
