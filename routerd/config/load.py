"""A file's text to a Router, or to every error in it.

Each resource is taken apart on its own, and one with errors as far as it goes: so that what it says of others is
checked in the same go.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import attrs

from routerd.config.check import check
from routerd.config.compose import compose
from routerd.config.declared import Declared, Finding
from routerd.config.document import Document
from routerd.config.draft import draft, parts, taken
from routerd.config.envelope import RECONCILE_LATER, ResourceDocument, RouterDocument
from routerd.config.errors import MOST_ERRORS, ConfigError, ConfigErrors
from routerd.config.router import Router
from routerd.config.sensitive import AROUND, SENSITIVE
from routerd.config.text import decode
from routerd.resources.kinds import KINDS, UNSUPPORTED, Kind, kind_named
from routerd.resources.resource import Position, Resource
from routerd.shapes.invalid import Path, Problem, described, did_you_mean, dotted

WHOLE = Declared((), "", "", "", 1, None, None)
"""The document itself, as one of which there may be something to say."""
NOT_HERE = "is not supported by this version of routerd"
_QUOTING = ("schema.type", "schema.pattern", "schema.length", "schema.enum")
"""Problems whose message or hint repeats the value."""
_HERE = f"this version has {', '.join(KINDS)}"


def load(text: str | bytes, source: str = "router.yaml") -> Router:
    """The router that a file declares. Raises ConfigErrors with every error of the file."""
    return router_of(compose(decode(text, source)))


def router_of(document: Document) -> Router:
    """The router that a document declares. Raises ConfigErrors with every error of it."""
    router, problems = taken(RouterDocument, document.root.data)
    declared: list[Declared] = []
    findings = chain(
        ((WHOLE, problem) for problem in _judged(problems, ("spec", "reconcile"), RECONCILE_LATER)),
        _findings(document, declared),
    )
    errors = [*document.errors, *(_error(document, *finding) for finding in islice(findings, MOST_ERRORS))]
    if errors or router is None:
        raise ConfigErrors(dict.fromkeys(errors))
    return Router(
        router.metadata.name,
        tuple(one.resource for one in declared if one.resource is not None),
        document.text.source,
        document.text.text,
        _digest(document.root.data),
    )


def resources_of_kind(text: str | bytes, kind: str, source: str) -> tuple[Resource[Any], ...]:
    """The resources of one kind in a text that may be less than a file: a Router, a list of resources, or a single one.
    Each is looked at alone. Raises ConfigErrors with every error in them."""
    document = compose(decode(text, source))
    judged = [_resource(document, path, data) for path, data in _loose(document.root.data)]
    wanted = [(one, problems) for one, problems in judged if one.kind == kind]
    findings = ((one, problem) for one, problems in wanted for problem in problems)
    errors = [*document.errors, *(_error(document, *finding) for finding in islice(findings, MOST_ERRORS))]
    if errors:
        raise ConfigErrors(dict.fromkeys(errors))
    return tuple(one.resource for one, _ in wanted if one.resource is not None)


def _loose(data: Any) -> Iterator[tuple[Path, Any]]:
    """Whatever may be a resource, and where it stands."""
    if isinstance(data, list):
        yield from (((place,), one) for place, one in enumerate(data))
    elif _text(data, "kind") == "Router":
        yield from ((("spec", "resources", place), one) for place, one in enumerate(_resources(data)))
    else:
        yield (), data


def _findings(document: Document, declared: list[Declared]) -> Iterator[Finding]:
    """What is wrong with each resource, which is then among `declared`; and what is wrong between them."""
    for place, data in enumerate(_resources(document.root.data)):
        resource, problems = _resource(document, ("spec", "resources", place), data)
        declared.append(resource)
        yield from ((resource, problem) for problem in problems)
    yield from check(declared)


def _resources(data: Any) -> list[Any]:
    """The resources of a document that may be wrong anywhere."""
    for name in ("spec", "resources"):
        data = data.get(name) if isinstance(data, dict) else None
    return data if isinstance(data, list) else []


def _resource(document: Document, path: Path, data: Any) -> tuple[Declared, list[Problem]]:
    """One resource, as far as it goes, and what is wrong with it alone."""
    header, problems = taken(ResourceDocument, data)
    given = data if isinstance(data, dict) else {}
    word, name = _text(given.get("kind")), _text(given.get("metadata"), "name")
    kind = KINDS.get(word)
    if kind is None and isinstance(given.get("kind"), str):
        problems.append(_no_such_kind(word))
    spec: Any = None
    right: tuple[tuple[Path, Any], ...] = ()
    if kind is not None:
        problems += _version(kind, given.get("apiVersion"))
        if "spec" in given:
            spec, wrong = taken(kind.spec, given["spec"])
            problems += [attrs.evolve(one, path=("spec", *one.path)) for one in _judged(wrong, (), kind.later)]
            right = tuple(parts(kind.spec, given["spec"], wrong, ("spec",)))
            spec = draft(kind.spec, given["spec"], wrong) if spec is None else spec
    line, column = document.text.place(document.find(path).start)
    resource = None
    if kind is not None and isinstance(spec, kind.spec) and header is not None:
        position = Position(document.text.source, line + 1, column + 1)
        about = header.metadata
        resource = Resource(kind.api_version, word, name, spec, about.owner_refs, about.annotations, position)
    label = "/".join(part for part in (word, name) if part) or dotted(path)
    return Declared(path, label, word, name, line + 1, spec, resource, right), problems


def _text(data: Any, *names: str) -> str:
    """The text at the end of some keys, or nothing."""
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    return data if isinstance(data, str) else ""


def _no_such_kind(word: str) -> Problem:
    if word in UNSUPPORTED:
        message = f"kind {word} is known to the API but {NOT_HERE.removeprefix('is ')}"
        return Problem(("kind",), "unsupported.kind", message, "not supported", _HERE)
    meant = kind_named(word)
    hint = f"did you mean {meant}?" if meant else did_you_mean(word, (*UNSUPPORTED, *KINDS)) or _HERE
    return Problem(("kind",), "schema.kind", f"{described(word)} is not a kind", "unknown kind", hint)


def _version(kind: Kind, given: Any) -> Iterator[Problem]:
    expected = kind.api_version
    if isinstance(given, str) and given != expected:
        message = f"{described(given)} is not the version of this kind"
        hint = f"did you mean {expected}?"
        yield Problem(("apiVersion",), "schema.api-version", message, f"expected {expected}", hint)


def _judged(problems: list[Problem], within: Path, later: tuple[str, ...]) -> Iterator[Problem]:
    """Fields that are known but of a later version are told as such."""
    for problem in problems:
        if problem.code == "schema.unknown-field" and problem.path[:-1] == within and problem.path[-1] in later:
            problem = attrs.evolve(
                problem, code="unsupported.field", message=NOT_HERE, expected="not supported", hint="remove it for now"
            )
        yield problem


def _error(document: Document, declared: Declared, problem: Problem) -> ConfigError:
    """A problem of a resource, at its place in the file."""
    path = declared.path + problem.path
    scalar = document.scalar(path)
    if scalar is not None and type(scalar.data) in (int, float):  # as it was written: 0102, not 102
        number, written = described(scalar.data), f"the number {scalar.text}"
        hint = f'if text is meant, quote it: "{scalar.text}"' if problem.hint.startswith("if text") else problem.hint
        problem = attrs.evolve(problem, message=problem.message.replace(number, written), hint=hint)
    span = document.find(path, problem.at)
    if not AROUND.isdisjoint(problem.path):
        problem, hide = _discreet(problem), False
    else:
        hide = problem.at == "key" and bool(did_you_mean(str(path[-1]), AROUND | SENSITIVE))
    return document.text.error(problem, span, declared.label, dotted(problem.path), hide=hide)


def _discreet(problem: Problem) -> Problem:
    """A problem around a secret, without the words of the file: they may be it."""
    if problem.code == "schema.unknown-field":
        return attrs.evolve(problem, path=problem.path[:-1], message="has a field that it cannot have")
    if problem.code in _QUOTING:
        hint = "quote it" if problem.hint.startswith(("quote it", "if text")) else ""
        return attrs.evolve(problem, message=problem.expected, hint=hint)
    return problem


def _digest(data: Any) -> str:
    """The same for two files that say the same."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
