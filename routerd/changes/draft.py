"""What the file holds, and what it is to hold: from octets to octets, each judged on the way. Blocks on nothing but the
processor; raises ConfigErrors (with places in what the author wrote), NotChanged."""

from __future__ import annotations

import codecs
import errno
import os
from collections.abc import Callable

import attrs

from routerd.api.change import Candidate, NotChanged
from routerd.config import ConfigErrors, Router
from routerd.config.compose import compose
from routerd.config.document import Document
from routerd.config.edit import Edited, merged, removed
from routerd.config.load import router_of
from routerd.config.text import decode
from routerd.resources.kinds import KINDS, kind_named

CANDIDATE = "candidate"
"""The source of a candidate's errors: it has no file here."""


@attrs.frozen(eq=False)
class Found:
    """The file `source` as it is; `octets` None: there is none, or it cannot be read. When it cannot be in force,
    `router` and `document` are None, and `trouble` says why."""

    source: str
    octets: bytes | None = attrs.field(repr=False)
    router: Router | None = None
    document: Document | None = None
    trouble: str = ""
    errors: ConfigErrors | None = None


@attrs.frozen(eq=False)
class Draft:
    """A file as it is to be. `whole`: it takes the place of what was there, whatever that was."""

    octets: bytes = attrs.field(repr=False)
    router: Router
    document: Document
    whole: bool = False
    warnings: tuple[str, ...] = ()


Judge = Callable[[Router], str | None]
"""What keeps a router that is valid from being in force on this host."""
Make = Callable[[Found], Draft]


def find(octets: bytes | None, source: str, judge: Judge) -> Found:
    """Judge a file."""
    if octets is None:
        return Found(source, None, trouble=f"cannot read {source}: {os.strerror(errno.ENOENT)}")
    try:
        document = compose(decode(octets, source))
        router = _judged(Edited(document, ()), judge)
    except ConfigErrors as errors:
        return Found(source, octets, trouble=f"{source} is faulty: {errors}", errors=errors)
    return Found(source, octets, router, document)


def drafted(candidate: Candidate, judge: Judge) -> Make:
    """The file with a candidate in it, or in its place."""
    return lambda found: (_replaced if candidate.replace else _merged)(found, candidate, judge)


def without(kind: str, name: str, judge: Judge) -> Make:
    """The file without a resource, its kind by its own name."""

    def make(found: Found) -> Draft:
        document = _sound(found)
        version = KINDS[kind].api_version if kind in KINDS else ""
        try:
            edited = removed(document, (version, kind, name))
        except KeyError:
            raise absent(kind, name) from None
        return _drafted(found, edited, judge)

    return make


def as_it_was(number: int, octets: bytes | None, judge: Judge) -> Make:
    """The file of an older generation."""

    def make(found: Found) -> Draft:
        if octets is None:
            hint = "GET /generations tells of which the text is kept"
            raise NotChanged("absent", f"there is no text of generation {number}", hint, "to")
        return _whole(found, octets, f"generation {number}", judge)

    return make


def absent(kind: str, name: str) -> NotChanged:
    """A resource that is to go is not there."""
    words = f"{kind[:60]}/{name[:60]} not found in canonical config"
    hint = "" if kind_named(kind) else f"there are {', '.join(KINDS)}"
    return NotChanged("absent", words, hint, "target")


def _merged(found: Found, candidate: Candidate, judge: Judge) -> Draft:
    return _drafted(found, merged(_sound(found), decode(candidate.text, CANDIDATE)), judge)


def _replaced(found: Found, candidate: Candidate, judge: Judge) -> Draft:
    return _whole(found, candidate.text.encode(), CANDIDATE, judge)


def _whole(found: Found, octets: bytes, called: str, judge: Judge) -> Draft:
    """A file that is replaced as a whole. Errors are told of the text by the name that its author knows it by."""
    try:
        document = compose(decode(octets, found.source))
        return Draft(octets, _judged(Edited(document, ()), judge), document, whole=True)
    except ConfigErrors as errors:
        raise ConfigErrors(attrs.evolve(error, source=called) for error in errors.errors) from None


def _sound(found: Found) -> Document:
    """What can be edited."""
    if found.document is None:
        words = f"the configuration on disk cannot be changed: {found.trouble}"
        raise NotChanged("conflict", words, "mend it, or replace it as a whole", errors=found.errors)
    return found.document


def _drafted(found: Found, edited: Edited, judge: Judge) -> Draft:
    bom = found.octets is not None and found.octets.startswith(codecs.BOM_UTF8)
    octets = (codecs.BOM_UTF8 if bom else b"") + edited.document.text.text.encode()
    return Draft(octets, _judged(edited, judge), edited.document)


def _judged(edited: Edited, judge: Judge) -> Router:
    text = edited.document.text
    try:
        router = router_of(edited.document)
        complaint = judge(router)
        if complaint is not None:
            raise text.refusal("value.socket-path", complaint, 0, "choose a shorter name")
    except ConfigErrors as errors:
        raise (edited.traced(errors) if edited.pieces else errors) from None
    return router
