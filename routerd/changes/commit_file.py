"""The change on trial as it is on disk, so that it goes back in time whatever becomes of routerd and of the host.

The file is readable for root alone: it holds configurations, and those may hold secrets. It holds the token, too,
so that admins are told it after a restart as before: who can read it can do all that admins may.
Everything here that takes a path blocks, and raises OSError.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Any, Final

import attrs
import orjson

from routerd.changes.canonical import sync_directory, write_private
from routerd.changes.commit import Revert
from routerd.changes.guard import Guards
from routerd.shapes.convert import from_wire, to_wire
from routerd.shapes.instant import Instant
from routerd.shapes.invalid import Problems

NAME: Final = "pending-commit.json"
VERSION: Final = 1
_MOST = 16 << 20
"""Octets: two configurations of a MiB each in hexadecimal, with room."""


@attrs.frozen
class Kept:
    """All that is needed to go back: to the file at `path`. `until` is on the host's clock in the boot `boot_id`,
    `confirm_by` the same moment for people. `previous_octets` None: there was no file. `going_back`: that has begun.
    `token` None: a version of routerd that kept no more than its digest has written it."""

    generation: int
    previous: int
    path: str
    boot_id: str
    until: float
    confirm_by: Instant
    actor: str
    token_digest: str = attrs.field(repr=False)
    guards: Guards
    octets: bytes = attrs.field(repr=False)
    previous_octets: bytes | None = attrs.field(default=None, repr=False)
    going_back: Revert | None = None
    token: str | None = attrs.field(default=None, repr=False)


class Torn(Exception):
    """The file is there and cannot be used; the message says why."""


def path_in(state_dir: Path) -> Path:
    """Where it is kept."""
    return state_dir / NAME


def save(path: Path, kept: Kept) -> None:
    """Put it on disk, whole or not at all."""
    body = orjson.dumps(to_wire(kept))
    head = {"version": VERSION, "sha256": hashlib.sha256(body).hexdigest(), "commit": orjson.Fragment(body)}
    write_private(path, orjson.dumps(head))


def load(path: Path) -> Kept | None:
    """What is there; None when nothing is on trial. Raises Torn."""
    try:
        with path.open("rb") as file:
            octets = file.read(_MOST + 1)
    except FileNotFoundError:
        return None
    try:
        return _kept(orjson.loads(octets))
    except orjson.JSONDecodeError:
        raise Torn("it is not whole") from None
    except Problems as problems:
        raise Torn(str(problems.problems[0])) from None


def _kept(head: Any) -> Kept:
    """Raises Torn, Problems."""
    if not isinstance(head, dict) or head.get("version") != VERSION:
        raise Torn("it is not of this version of routerd")
    kept = from_wire(Kept, head.get("commit"))
    digest = hashlib.sha256(orjson.dumps(to_wire(kept))).hexdigest()
    if not hmac.compare_digest(digest, str(head.get("sha256"))):
        raise Torn("it is not what was written")
    return kept


def remove(path: Path) -> None:
    """Nothing is on trial any more."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_directory(path.parent)


def set_aside(path: Path) -> Path:
    """Keep a torn file for people, out of the way."""
    aside = path.with_name(f"{path.name}.torn")
    path.replace(aside)
    sync_directory(path.parent)
    return aside
