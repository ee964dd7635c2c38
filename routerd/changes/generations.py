"""The configuration's generations: a number that goes up when the configuration really differs, and what is kept of
each. Records live in the log's store of objects, beside the events; the texts, which may hold secrets, in files that
only we can read.

Whether it differs is seen by a digest, which any local user can read and a configuration may hold secrets that can be
guessed: so it is made with a key that only we have (`generation_key`).
"""

from __future__ import annotations

import hmac
import logging
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

import attrs

from routerd.changes.canonical import write_private
from routerd.config import Router
from routerd.events.log import Log
from routerd.events.objects import RECORD
from routerd.events.types import Ref, Status, StoredObject

logger = logging.getLogger("routerd")

KEPT = 100
"""Generations of which there are a record and a text."""
KEY_OCTETS = 32
CONTROL = "control.routerd.net/v1alpha1"


@attrs.frozen
class Record:
    """One generation. Times are wall-clock ns; the counts are of resources, against the one before it."""

    generation: int
    started_at: int
    phase: str
    config_hash: str
    actor: str
    resource_count: int
    finished_at: int | None = None
    added: int | None = None
    changed: int | None = None
    removed: int | None = None
    warnings: tuple[str, ...] | None = None
    """What is left of it although it was taken back."""
    reverted: bool | None = None
    """Whether it was on trial and was taken back."""
    restores: int | None = None
    """The generation back to which it went."""

    @property
    def ref(self) -> Ref:
        """Under which the store keeps it."""
        return Ref(RECORD, str(self.generation), CONTROL)

    @property
    def status(self) -> Status:
        """As the store keeps it."""
        return {name: value for name, value in attrs.asdict(self).items() if value is not None}


class Generations:
    """Those of one state directory. What blocks says so."""

    def __init__(self, log: Log, state_dir: Path, key: bytes) -> None:
        self._log = log
        self._directory = state_dir / "generations"
        self._key = key

    def hash_of(self, router: Router) -> str:
        """The same for two configurations that say the same, comments and layout apart."""
        return "hmac-sha256:" + hmac.digest(self._key, router.digest.encode(), "sha256").hex()

    def all(self) -> list[Record]:
        """What is known, the latest last. Before there were records, the configuration's own status was all."""
        found = (_record(stored.status) for stored in self._log.objects.of_kind(RECORD))
        known = sorted((one for one in found if one is not None), key=lambda one: one.generation)
        return known or [_of_old(one) for one in self._log.objects.of_kind("Router") if "digest" in one.status][-1:]

    def get(self, number: int) -> Record | None:
        """One of them."""
        stored = self._log.objects.get(Ref(RECORD, str(number), CONTROL))
        return None if stored is None else _record(stored.status)

    @property
    def latest(self) -> Record | None:
        """What the file held when it was last looked at."""
        return max(self.all(), key=lambda one: one.generation, default=None)

    def next_number(self, octets: bytes) -> int:
        """For a configuration that differs from the latest. Blocks. When the log was lost, or could not be written
        before the process ended, the texts know more than it: the same text then has its number again."""
        known = max((one.status.get("generation", 0) for one in self._log.objects.of_kind("Router")), default=0)
        known = max(known, *(one.generation for one in self.all()), 0)
        newest = max(self.texts(), default=0)
        if newest > known and self.text_of(newest) == octets:
            return newest
        return max(known, newest) + 1

    def texts(self) -> list[int]:
        """The numbers of which there is a text. Blocks."""
        try:
            names = os.listdir(self._directory)  # noqa: PTH208  (a generator of Paths takes ten times as long)
        except OSError:
            return []
        return [int(name[:-5]) for name in names if name.endswith(".yaml") and name[:-5].isdigit()]

    def text_of(self, number: int) -> bytes | None:
        """The octets of a generation's file, None if they are not there any more. Blocks."""
        try:
            return self._path(number).read_bytes()
        except OSError:
            return None

    def keep(self, number: int, octets: bytes) -> None:
        """Have the text on disk. Blocks; raises OSError."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._path(number), octets)

    def keep_if_possible(self, number: int, octets: bytes) -> None:
        """The text of what is in the file already: it is in force whether there is room for a copy or not. Blocks."""
        try:
            self.keep(number, octets)
        except OSError as error:
            logger.warning("the text of generation %d is not kept: %s", number, error.strerror)

    def surplus(self, needed: Iterable[int]) -> list[Record]:
        """The records that are too many once there is one more, `needed` not among them."""
        spared = set(needed)
        return [one for one in self.all()[: 1 - KEPT] if one.generation not in spared]

    def forget_texts(self, needed: Iterable[int]) -> None:
        """Remove the texts that are too many. Blocks."""
        spared = set(needed)
        for number in sorted(self.texts())[:-KEPT]:
            if number not in spared:
                try:
                    self._path(number).unlink(missing_ok=True)
                except OSError as error:
                    logger.warning("%s stays: %s", self._path(number), error.strerror)

    def _path(self, number: int) -> Path:
        return self._directory / f"{number}.yaml"


def _record(status: Status) -> Record | None:
    """None for what another version of routerd has written."""
    known = {field.name: status[field.name] for field in attrs.fields(Record) if field.name in status}
    try:
        return Record(**known)
    except TypeError:
        return None


def _of_old(stored: StoredObject) -> Record:
    status = stored.status
    number, digest, count = status["generation"], status["digest"], status.get("resourceCount", 0)
    return Record(number, stored.changed_at, "Committed", digest, "routerd", count, stored.changed_at)


def generation_key(state_dir: Path) -> bytes:
    """The key of `state_dir`, made at the first start and readable for us alone. Blocks on the disk.

    Without a disk to keep it there is one for this life, and the next has a new generation: no reason not to start.
    """
    path = state_dir / "generation.key"
    try:
        key = path.read_bytes() if path.exists() else b""
        if len(key) != KEY_OCTETS:
            key = secrets.token_bytes(KEY_OCTETS)
            write_private(path, key)
    except OSError as error:
        logger.warning("%s cannot be used: %s; the next start begins a new generation", path, error.strerror)
        return secrets.token_bytes(KEY_OCTETS)
    return key
