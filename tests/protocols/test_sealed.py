"""A file that outlives us: what was sealed is read back, and nothing else is."""

from __future__ import annotations

import hashlib
import json

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.protocols.malformed import Malformed
from routerd.protocols.sealed import Age, age_of, seal, unseal


class Note(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A file of some protocol."""

    version: int
    text: str = "nothing"
    at: float = 0.0
    checksum: str


def note_of(text: str, at: float = 0.0, version: int = 1) -> Note:
    return Note(version=version, text=text, at=at, checksum="")


@attrs.frozen
class Writing:
    boot_id: str = "this boot"
    boottime: float = 100.0
    wall: float = 5000.0


def ask(now: float, wall: float, boot_id: str = "this boot", build_date: float = 1000.0) -> Age:
    return age_of(Writing(), boot_id=boot_id, now=now, wall=wall, build_date=build_date)


@pytest.mark.req("C5")
@given(st.text(), st.floats(allow_nan=False, allow_infinity=False))
def test_what_was_sealed_is_read_back(text: str, at: float) -> None:
    note = unseal(seal(note_of(text, at)), Note, 1)
    assert isinstance(note, Note)
    assert (note.text, note.at) == (text, at)


@pytest.mark.req("C5")
def test_the_checksum_is_of_the_file_with_an_empty_one() -> None:
    """As earlier versions of us have written it: an upgrade loses no lease."""
    digest = hashlib.sha256(b'{"version":1,"text":"a lease","checksum":""}').hexdigest()
    assert json.loads(seal(note_of("a lease"))) == {"version": 1, "text": "a lease", "checksum": digest}


@pytest.mark.req("C5", "breaks")
@given(st.binary(max_size=200))
def test_any_other_octets_are_a_value(octets: bytes) -> None:
    assert isinstance(unseal(octets, Note, 1), Malformed)


@pytest.mark.req("C5", "breaks")
def test_another_version_and_another_text_are_told_apart() -> None:
    octets = seal(note_of("a lease", version=2))
    assert unseal(octets, Note, 1) == Malformed("other-version")
    assert unseal(octets.replace(b"a lease", b"a crash"), Note, 2) == Malformed("bad-checksum")


@pytest.mark.parametrize(
    ("asked", "age"),
    [
        (ask(160.0, 0.0), Age(60.0, trusted=True)),
        (ask(90.0, 9000.0), Age(0.0, trusted=False)),
        (ask(10.0, 5060.0, "another"), Age(60.0, trusted=True)),
        (ask(10.0, 4000.0, "another"), Age(0.0, trusted=False)),
        (ask(10.0, 5060.0, "another", build_date=6000.0), Age(0.0, trusted=False)),
    ],
    ids=["same boot", "a clock that ran backwards", "another boot", "a clock behind the file", "behind the program"],
)
def test_which_clock_tells_the_age(asked: Age, age: Age) -> None:
    assert asked == age
