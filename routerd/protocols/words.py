"""What peers say in words, made fit for people and resolvers: text and domain names (C13). Total, as every decoder."""

from __future__ import annotations

import re

from routerd.protocols.malformed import Malformed

MAX_TEXT = 255

_LABEL = re.compile(rb"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_POINTER = 0xC0


def text(value: bytes) -> str:
    """A server's words for a person's eyes: printable, at most 255 octets; whatever else comes is escaped (C13)."""
    kept = value[:MAX_TEXT].rstrip(b"\0").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in kept)


def domain_names(value: bytes, limit: int) -> tuple[str, ...] | Malformed:
    """A search list (RFC 3397, RFC 3646): at most the first `limit` names. One bad name voids the list."""
    names: list[str] = []
    at = 0
    while at < len(value) and len(names) < limit:
        labels = _labels(value, at)
        if isinstance(labels, Malformed):
            return labels
        found, at = labels
        name = domain_name(found)
        if isinstance(name, Malformed):
            return name
        names.append(name)
    return tuple(names) or Malformed("empty")


def domain_name(labels: list[bytes]) -> str | Malformed:
    """Labels as dotted text: letters, digits, `-` and `_` only (C13)."""
    if labels and all(map(_LABEL.fullmatch, labels)):
        return b".".join(labels).decode("ascii")
    return Malformed("bad-name")


def _labels(value: bytes, at: int) -> tuple[list[bytes], int] | Malformed:
    """The labels of the name at `at`, and where the next name begins.

    A pointer leads backwards and to a label (RFC 1035 §4.1.4), a name has at most 255 octets: no loops, and no
    more than 127 steps for a name, whatever the server sends.
    """
    labels: list[bytes] = []
    after: int | None = None
    size = 0
    while at < len(value):
        length = value[at]
        if length == 0:
            return labels, at + 1 if after is None else after
        if length >= _POINTER:
            target = int.from_bytes(value[at : at + 2], "big") & 0x3FFF
            if at + 2 > len(value) or target >= at or value[target] >= _POINTER:
                return Malformed("bad-pointer")
            after = at + 2 if after is None else after
            at = target
            continue
        size += 1 + length
        if length > 63 or size > 254:
            return Malformed("long-name")
        labels.append(value[at + 1 : at + 1 + length])
        at += 1 + length
    return Malformed("truncated")
