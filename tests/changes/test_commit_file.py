"""The change on trial on disk: for root alone, whole or not at all, and told from what is torn."""

from __future__ import annotations

import json
import stat
from contextlib import suppress
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routerd.changes import commit_file
from routerd.changes.commit import Revert, digest_of
from routerd.changes.commit_file import Kept, Torn
from routerd.changes.guard import Caller, Guards
from routerd.shapes.instant import Instant

KEPT = Kept(
    generation=5,
    previous=4,
    path="/etc/router.yaml",
    boot_id="this boot",
    until=1234.5678901,
    confirm_by=Instant(1_800_000_000_123_456_789),
    actor="uid=0 pid=7 /usr/bin/routerctl request=01",
    token_digest=digest_of("token"),
    guards=Guards(("eth1",), ("DHCPv4Client/wan",), Caller("192.0.2.1", "2001:db8::7")),
    octets=b"spec: {secret: planted-secret}\n",
    previous_octets=b"\xff\xfe not UTF-8 \n",
    token="the-token",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return commit_file.path_in(tmp_path)


@pytest.fixture
def whole(path: Path) -> bytes:
    """What is written of KEPT."""
    commit_file.save(path, KEPT)
    return path.read_bytes()


@pytest.mark.parametrize(
    "kept",
    [
        KEPT,
        attrs.evolve(KEPT, previous_octets=None, guards=Guards()),
        attrs.evolve(KEPT, token=None),
        attrs.evolve(KEPT, going_back=Revert("GuardFailed", "eth1 has no carrier for 10s")),
        attrs.evolve(KEPT, until=0.0, octets=b"x" * (1 << 20), previous_octets=b"y" * (1 << 20)),
    ],
)
def test_what_was_kept_is_read_again(path: Path, kept: Kept) -> None:
    commit_file.save(path, kept)
    assert commit_file.load(path) == kept


def test_it_is_for_root_alone_and_leaves_nothing_beside_it(path: Path) -> None:
    commit_file.save(path, KEPT)
    commit_file.save(path, attrs.evolve(KEPT, generation=6))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    commit_file.remove(path)
    commit_file.remove(path)
    assert list(path.parent.iterdir()) == [] and commit_file.load(path) is None


def test_a_reader_of_its_repr_learns_no_secret() -> None:
    assert "planted-secret" not in repr(KEPT) and KEPT.token_digest not in repr(KEPT)
    assert "the-token" not in repr(KEPT)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(st.data())
def test_a_file_that_is_torn_anywhere_is_never_taken_for_whole(path: Path, whole: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(whole) - 1))
    octet = data.draw(st.integers(0, 255))
    torn = data.draw(st.sampled_from([whole[:place], whole[:place] + bytes([octet]) + whole[place + 1 :]]))
    path.write_bytes(torn)
    with suppress(Torn):
        assert commit_file.load(path) == KEPT, "it was changed in a place that does not matter"


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"null", b"\0" * 512, b'{"version": 2}', b'{"version": 1}'])
def test_what_is_no_such_file(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    with pytest.raises(Torn):
        commit_file.load(path)


def test_another_deadline_is_not_believed(path: Path) -> None:
    commit_file.save(path, KEPT)
    told = json.loads(path.read_bytes())
    told["commit"]["until"] = 1e9
    path.write_text(json.dumps(told))
    with pytest.raises(Torn, match="it is not what was written"):
        commit_file.load(path)


def test_a_torn_file_is_set_aside(path: Path) -> None:
    path.write_bytes(b"torn")
    aside = commit_file.set_aside(path)
    assert aside.read_bytes() == b"torn" and not path.exists()
