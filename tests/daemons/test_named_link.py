"""Which link is meant by a name, while links come, go, and exchange their names."""

from __future__ import annotations

import pytest

from routerd.daemons.named_link import link_after, news_of
from routerd.host import Link, LinkChanged, Notice, Resynced, Snapshot

OURS, OTHER = Link(2, "wan0", b"\2" * 6, 1500), Link(3, "lan0", b"\3" * 6, 1500)
RENAMED, TAKEN = Link(2, "old0", b"\2" * 6, 1500), Link(3, "wan0", b"\3" * 6, 1500)


@pytest.mark.parametrize(
    ("notice", "before", "after"),
    [
        (Resynced(Snapshot((OURS, OTHER))), None, OURS),
        (Resynced(Snapshot((OTHER,))), OURS, None),
        (LinkChanged(None, OURS), None, OURS),
        (LinkChanged(OURS, None), OURS, None),
        (LinkChanged(OURS, RENAMED), OURS, None),
        (LinkChanged(OTHER, TAKEN), OURS, TAKEN),
        (LinkChanged(OTHER, None), OURS, OURS),
        (LinkChanged(None, OTHER), None, None),
    ],
    ids=["there", "not there", "comes", "goes", "renamed", "another takes the name", "another goes", "another comes"],
)
def test_the_link_of_a_name(notice: Notice, before: Link | None, after: Link | None) -> None:
    assert link_after(notice, "wan0", before) == after


def test_what_happens_to_others_is_no_news() -> None:
    assert list(news_of(LinkChanged(OTHER, None), "wan0")) == []
    assert list(news_of(LinkChanged(OURS, None), "wan0")) == [None]


def test_one_whose_name_was_taken_and_who_goes_then_is_not_missed() -> None:
    """The host may tell of the new owner of the name before it tells of the old one's."""
    now = link_after(LinkChanged(OTHER, TAKEN), "wan0", OURS)
    assert link_after(LinkChanged(OURS, RENAMED), "wan0", now) == TAKEN
