"""Which link is meant by an interface's name, as the host's notices tell it: links come, go, and change names. Pure."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from routerd.host import Link, LinkChanged, Notice, Resynced

DELETED = (errno.ENODEV, errno.ENXIO)
"""How reading ends when the device is deleted: an end like another, the host's notice of it is on its way."""

GONE = (*DELETED, errno.ENETDOWN)
"""What the system says when an interface vanishes under a socket: the host's notice of it is on its way."""


def news_of(notice: Notice, name: str) -> Iterator[Link | None]:
    """The link of this name as a notice has it, if it is about that; None: there is none now."""
    match notice:
        case Resynced(snapshot):
            yield snapshot.link(name)
        case LinkChanged(_, after) if after is not None and after.name == name:
            yield after
        case LinkChanged(before, _) if before is not None and before.name == name:
            yield None


def link_after(notice: Notice, name: str, link: Link | None) -> Link | None:
    """The link of this name after a notice, when it was `link` before: it may have gone, or lost its name, or another
    may have it."""
    match notice:
        case Resynced(snapshot):
            return snapshot.link(name)
        case LinkChanged(_, after) if after is not None and after.name == name:
            return after
        case LinkChanged(before, _) if before is not None and link is not None and before.index == link.index:
            return None
    return link
