"""docs/configuration.md, written from the types: `python -m routerd.config.reference > docs/configuration.md`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Network
from typing import Any, Literal, get_args, get_origin

import attrs

from routerd.config.envelope import RECONCILE_LATER, Reconcile
from routerd.resources.conditions import Dependency, StateMatch, When
from routerd.resources.kinds import KINDS, UNSUPPORTED, Kind
from routerd.resources.resource import Metadata
from routerd.shapes.convert import fields_of, present
from routerd.shapes.duration import Duration, Period
from routerd.shapes.schema import default_of
from routerd.shapes.secret import Secret

INTRODUCTION = """\
# Configuration

<!-- Written by `python -m routerd.config.reference`; edit the types, not this page. -->

One YAML 1.2 file, at most 1 MiB of UTF-8, holds one document: the Router and its resources.

```yaml
apiVersion: routerd.net/v1alpha1
kind: Router
metadata:
  name: home
spec:
  resources:
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: wan}
      spec: {ifname: eth0}
```

- Nothing is guessed: `yes` is text and not `true`, `30` is no duration, a field that is not in the tables is an error.
- `routerd serve --check` tells every error of a file at once, each with line, column and what would help.
- `routerd schema` prints the JSON Schema of this format, for editors.
- Anchors and aliases may be used. Tags, merge keys (`<<`), a key twice and a second document are errors.
- Names consist of lower-case letters, digits, `-` and `.`, 63 at most: they become file names.
- A field that is left out has its default. A field without a value (`hostname:`) is an error.
- Durations are written as `500ms`, `30s`, `1m30s`; units are ns, us, ms, s, m and h.
- A *secret* is never shown: not in errors, not in events, not through the API.

A field whose name ends in `From` takes its value from another resource when that one has it:
`gatewayFrom: {resource: DHCPv4Client/wan, field: gateway}`. What each kind provides is listed with it.
"""

HELD = """\
A resource with a `when` is applied while its condition is true. While it is false the resource is *held*: nothing is
done for it, what it had put on the host is withdrawn, a client says its goodbye and keeps its lease for later. What
cannot do without it (an address on a held interface) is held with it. Its phase is `Pending` with the reason
`WhenFalse`, which counts as healthy: it is what you asked for. `dependsOn` does the same with `DependsOnFalse`.

```yaml
when:
  all:
    - state: {Interface/lan.phase: {equals: Up, for: 10s}}
    - any:
        - state: {DHCPv4Client/wan.gateway: {exists: true}}
        - state: {DHCPv4Client/lte.phase: {in: [Bound, Refreshing, Rebinding]}}
```

What is *not known* is neither true nor false: who would say it has not spoken yet in this life of routerd, or has
crashed. Then all stays as it is: what is applied stays, what is held is held, and a client that does not run is not
started. So a restart never withdraws anything for the mere reason that others are slower to start.

No resource may wait for itself, not by way of others either: that is an error that names the circle.
"""
"""Of `when` and `dependsOn`."""

_SHARED = (When, StateMatch, Dependency)
"""Classes inside specs that have a section of their own."""

_NAMES: dict[Any, str] = {
    bool: "boolean",
    int: "integer",
    str: "text",
    Any: "anything",
    Duration: "duration",
    Period: "duration or days",
    Secret: "secret",
    IPv4Address: "IPv4 address",
    IPv4Interface: "IPv4 address/length",
    IPv4Network: "IPv4 network/length",
    IPv4Network | IPv6Network: "network/length",
}


def page() -> str:
    """The whole page."""
    parts = [
        INTRODUCTION,
        *_router(),
        *_conditions(),
        *(line for kind in KINDS.values() for line in _kind(kind)),
        *_rest(),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _router() -> Iterator[str]:
    yield "## metadata\n"
    yield from _table(Metadata)
    yield "## spec.reconcile\n"
    yield from _table(Reconcile)
    yield f"{_listed(RECONCILE_LATER)} belong to a later version and are errors.\n"


def _conditions() -> Iterator[str]:
    yield "## when and dependsOn\n"
    yield HELD
    for shared in _SHARED:
        yield f"### {shared.__name__}\n"
        yield f"{_sentence(shared)}\n"
        yield from _table(shared)


def _kind(kind: Kind) -> Iterator[str]:
    yield f"## {kind.name}\n"
    yield f"`apiVersion: {kind.api_version}`. {_sentence(kind.spec)}\n"
    yield from _table(kind.spec)
    for nested in _nested(kind.spec):
        yield f"### {kind.name}: {nested.__name__}\n"
        yield f"{_sentence(nested)}\n"
        yield from _table(nested)
    if kind.phases:
        yield f"Phases: {_listed(kind.phases)}."
    yield f"Provides: {_listed(kind.provides)}."
    if kind.aliases:
        yield f"Short names: {_listed(kind.aliases)}."
    if kind.later:
        yield f"Of a later version, and errors for now: {_listed(kind.later)}."
    yield "\n```yaml"
    yield from _yaml(example(kind))
    yield "```\n"


def _rest() -> Iterator[str]:
    yield "## Other kinds\n"
    yield "Known to the API, but not supported by this version:"
    yield f"{', '.join(sorted(UNSUPPORTED))}."


def _table(cls: type) -> Iterator[str]:
    yield "| Field | Type | Default | Meaning |"
    yield "|---|---|---|---|"
    for wire, field in fields_of(cls).items():
        help = field.metadata.get("help", "").replace("|", "\\|")
        yield f"| `{wire}` | {_type(field)} | {_default(field)} | {help} |"
    yield ""


def _type(field: attrs.Attribute[Any]) -> str:
    name = _type_name(present(field.type))
    schema = getattr(field.validator, "schema", None)
    limit = schema() if schema is not None else {}
    return f"{name} {limit['minimum']}–{limit['maximum']}" if "minimum" in limit else name


def _type_name(tp: Any) -> str:
    if tp in _NAMES:
        return _NAMES[tp]
    origin: Any = get_origin(tp)
    if origin is Literal:
        return " \\| ".join(f"`{choice}`" for choice in get_args(tp))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"mapping of {_type_name(get_args(tp)[1])}"
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return f"list of {_type_name(get_args(tp)[0])}"
    return str(tp.__name__)


def _default(field: attrs.Attribute[Any]) -> str:
    if field.default is attrs.NOTHING:
        return "*required*"
    return "" if field.default is None else f"`{json.dumps(default_of(field))}`"


def _nested(cls: type) -> Iterator[type]:
    """The classes inside a spec, each once."""
    found: dict[type, None] = {}
    for field in fields_of(cls).values():
        inner = present(field.type)
        for tp in (inner, *get_args(inner)):
            if isinstance(tp, type) and attrs.has(tp) and tp not in _SHARED:
                found[tp] = None
    yield from found


def example(kind: Kind) -> dict[str, Any]:
    """A resource of this kind, with the examples of its fields."""
    cls: Any = kind.spec
    fields = fields_of(cls).items()
    spec = {wire: field.metadata["example"] for wire, field in fields if "example" in field.metadata}
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": "example"}, "spec": spec}


def _yaml(value: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield f"{indent}{name}:"
            yield from _yaml(inner, indent + "  ")
        else:
            yield f"{indent}{name}: {json.dumps(inner, ensure_ascii=False) if ':' in str(inner) else _plain(inner)}"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _sentence(cls: type) -> str:
    return " ".join((cls.__doc__ or "").split())


if __name__ == "__main__":
    print(page(), end="")
