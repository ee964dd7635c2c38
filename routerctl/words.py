"""What is shown, as text: no control character that came over a network, as wide as a terminal takes it, and how a word
looks. A DHCP server chooses its domain name, and must not choose the colour of a terminal, nor move its cursor.
"""

from __future__ import annotations

import json

_ROLES = {
    "good": "active applied bound changed connected established healthy installed live observed ok pass passing ready"
    " running synced true up",
    "bad": "blocked crashloop deleted error errored expired fail failed failing false lost unhealthy",
    "dim": "debug idle released skip skipped stopped unchanged unknown -",
    "plain": "info",
}
ROLE_OF = {word: role for role, words in _ROLES.items() for word in words.split()}
"""How the first word of a phase, severity or condition looks; any other is a warning."""


def role(text: str) -> str:
    """How a phase, severity or condition looks: good, warn, bad, dim."""
    return ROLE_OF.get(text.partition(" ")[0].lower(), "warn")


def cell(value: object) -> str:
    """Any JSON value as the text of a table: `-` for nothing, lists with commas, never a control character."""
    if value is None or value == "" or value == [] or value == {}:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return ", ".join(cell(item) for item in value)
    return clean(json.dumps(value, ensure_ascii=False))


def clean(text: str) -> str:
    """The text with everything that a terminal might obey written out: `\\x1b`, `\\n`, `\\u202e`."""
    if text.isprintable():
        return text
    return "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode("ascii") for ch in text)


def columns(text: str) -> int:
    """How many columns a terminal takes for it."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(0 if unicodedata.combining(ch) else 2 if unicodedata.east_asian_width(ch) in "WF" else 1 for ch in text)
