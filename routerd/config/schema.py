"""The JSON Schema (2020-12) of a whole configuration file, for editors and for `routerd schema`."""

from __future__ import annotations

from typing import Any

from routerd.config.envelope import ResourceDocument, RouterDocument
from routerd.resources.kinds import KINDS, Kind
from routerd.shapes.schema import Refs, Schema, schema_of


def document_schema() -> dict[str, Any]:
    """What `load` accepts, as far as JSON Schema can say it: no references, overlaps or duplicates."""
    refs = Refs()
    root = schema_of(RouterDocument, refs)
    refs.schemas["RouterSpec"]["properties"]["resources"]["items"] = {
        "oneOf": [_resource(kind, refs) for kind in KINDS.values()]
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "routerd configuration",
        **root,
        "$defs": dict(sorted(refs.schemas.items())),
    }


def _resource(kind: Kind, refs: Refs) -> Schema:
    """The schema of one kind's resources: the envelope, closed around the kind's spec."""
    spec = schema_of(kind.spec, refs)
    envelope = Refs(refs.prefix)
    schema_of(ResourceDocument, envelope)
    schema = envelope.schemas.pop("ResourceDocument")
    refs.schemas |= envelope.schemas
    schema["description"] = refs.schemas[kind.name]["description"]
    schema["properties"] |= {"apiVersion": {"const": kind.api_version}, "kind": {"const": kind.name}, "spec": spec}
    return schema
