"""`routerctl explain`: a kind or a field of the configuration, from the JSON Schema that the running routerd serves."""

from __future__ import annotations

import json

from routerctl.client import entries, part
from routerctl.errors import Exit, Failure
from routerctl.kinds import KNOWN, canonical, did_you_mean
from routerctl.table import Table
from routerctl.words import cell, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from routerctl.client import Client, Object
    from routerctl.output import Out

EXAMPLES = {
    "explain": """
  routerctl explain                                  every kind
  routerctl explain DHCPv4Client                     its fields
  routerctl explain DHCPv4Client.spec.offerWindow    one field: type, default, example
"""
}
OFFLINE = "docs/configuration.md has every kind and field; `routerd schema` prints the schema"


def arguments(verb: str, parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("path", metavar="KIND[.FIELD]", nargs="?", default="", help="Kind, or Kind.spec.field")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Find it in the schema and show it."""
    try:
        schema = client.read("/schema.json")
    except Failure as failure:
        failure.hint = f"{failure.hint}; {OFFLINE}" if failure.hint else OFFLINE
        raise
    kinds = kinds_of(schema)
    if not args.path:
        _show_kinds(out, kinds)
        return Exit.OK
    kind, _, rest = args.path.partition(".")
    kind = canonical(kind)
    if kind not in kinds:
        raise _no_kind(kind, kinds)
    found = _at(schema, kinds[kind], kind, [step for step in rest.split(".") if step])
    if out.form == "table":
        _show(out, schema, args.path.replace(args.path.partition(".")[0], kind, 1), found)
    else:
        out.one(found, f"{kind}.{rest}" if rest else kind)
    return Exit.OK


def _no_kind(kind: str, kinds: dict[str, Object]) -> Failure:
    """There is none, or this routerd is too old or too young for it."""
    if kind in KNOWN:
        hint = "routerctl explain lists those that it supports"
        return Failure(Exit.NOT_FOUND, f"the kind {kind} is known, and this routerd does not support it", hint)
    return Failure(Exit.NOT_FOUND, f"this routerd has no kind {kind}", did_you_mean(kind, kinds))


def kinds_of(schema: Object) -> dict[str, Object]:
    """Kind -> the schema of its resources."""
    resources = part(part(part(part(schema, "$defs"), "RouterSpec"), "properties"), "resources")
    shapes = entries(part(resources, "items"), "oneOf")
    named = {str(part(part(shape, "properties"), "kind").get("const")): shape for shape in shapes}
    return {kind: shape for kind, shape in named.items() if kind != "None"}


def fields_of(schema: Object, shape: Object) -> dict[str, Object]:
    """The fields of a shape, of the elements when it is a list, as the schema tells them."""
    whole = _resolved(schema, shape)
    properties = part(whole, "properties") or part(_resolved(schema, part(whole, "items")), "properties")
    return {name: field for name, field in properties.items() if isinstance(field, dict)}


def _resolved(schema: Object, shape: Object) -> Object:
    """What a reference means, with what stands beside it."""
    for _ in range(8):
        reference = shape.get("$ref")
        if not isinstance(reference, str):
            break
        beside = {key: value for key, value in shape.items() if key != "$ref"}
        shape = {**part(part(schema, "$defs"), reference.rpartition("/")[2]), **beside}
    return shape


def _at(schema: Object, shape: Object, path: str, steps: list[str]) -> Object:
    """The shape at the end of the path; `spec.` may be left out. Raises Failure."""
    for index, step in enumerate(steps):
        name = step.partition("[")[0]
        fields = fields_of(schema, shape)
        if index == 0 and name not in fields and "spec" in fields:
            fields = fields_of(schema, fields["spec"])
        if name not in fields:
            raise Failure(Exit.NOT_FOUND, f"{path} has no field {name}", did_you_mean(name, fields))
        shape, path = fields[name], f"{path}.{name}"
    return _resolved(schema, shape)


def type_of(schema: Object, field: Object) -> str:
    """`text`, `list of number`, `one of a, b`."""
    field = _resolved(schema, field)
    if choices := field.get("enum"):
        return "one of " + ", ".join(str(choice) or '""' for choice in choices) if isinstance(choices, list) else "text"
    if kinds := entries(field, "anyOf") or entries(field, "oneOf"):
        return " or ".join(dict.fromkeys(type_of(schema, one) for one in kinds))
    kind = field.get("type")
    if kind == "array":
        return f"list of {type_of(schema, part(field, 'items'))}"
    if kind == "string":
        return _text(field)
    bounds = [str(field[key]) for key in ("minimum", "maximum") if field.get(key) is not None]
    return f"{kind or 'anything'}" + (f" {'…'.join(bounds)}" if len(bounds) == 2 else "")


def _text(field: Object) -> str:
    if field.get("format"):
        return str(field["format"])
    return "duration" if "(ns|us|" in str(field.get("pattern")) else "text"


def _show_kinds(out: Out, kinds: dict[str, Object]) -> None:
    if out.form != "table":
        out.items(({"kind": kind, **shape} for kind, shape in kinds.items()), lambda shape: str(shape["kind"]))
        return
    table = Table(out, "KIND", "WHAT IT IS")
    table.rows((kind, _sentence(shape)) for kind, shape in kinds.items())


def _show(out: Out, schema: Object, path: str, found: Object) -> None:
    out.line(f"{out.paint('bold', clean(path))}  {cell(type_of(schema, found))}")
    for line in str(found.get("description") or "").splitlines():
        out.line(f"  {clean(line)}")
    for key, words in (("default", "default"), ("examples", "example")):
        if key in found:
            out.line(f"  {words}: {cell(_first(found[key]) if key == 'examples' else found[key])}")
    fields = fields_of(schema, found)
    if "spec" in fields:
        found = _resolved(schema, fields["spec"])
        fields = fields_of(schema, found)
    if fields:
        out.line()
        table = Table(out, "FIELD", "TYPE", "DEFAULT", "WHAT IT IS")
        table.rows(_rows(schema, found, fields))


def _rows(schema: Object, shape: Object, fields: dict[str, Object]) -> Iterator[tuple[object, ...]]:
    whole = _resolved(schema, shape)
    required = whole.get("required") or _resolved(schema, part(whole, "items")).get("required")
    needed = required if isinstance(required, list) else []
    for name, field in fields.items():
        told = _resolved(schema, field)
        default = "required" if name in needed else _default(told)
        yield name, type_of(schema, told), default, _sentence(told)


def _default(field: Object) -> str:
    found = field.get("default")
    return "-" if found is None else found if isinstance(found, str) and found else json.dumps(found)


def _sentence(shape: Object) -> str:
    """The first sentence of a description."""
    text = " ".join(str(shape.get("description") or "").split())
    return text.partition(". ")[0].removesuffix(".")


def _first(examples: object) -> object:
    return examples[0] if isinstance(examples, list) and examples else examples
