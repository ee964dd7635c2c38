"""How long an address is left alone that another host of the link was found to have: the one that comes second must not
use it (RFC 4862 §5.4.5), but the other may go, or may have been an echo of ourselves."""

from __future__ import annotations

from collections.abc import Collection

from routerd.controllers.picture import AddressKey

FIRST, LONGEST = 30.0, 600.0
"""Seconds until it is tried again, for the first time and at most; each time twice as long."""


def rest_after(times: int) -> float:
    """Seconds, after it was found for so many times."""
    return min(FIRST * 2.0 ** min(times - 1, 16), LONGEST)


class Rests:
    """Of each address: after which time it was found for the last time, and when that was."""

    def __init__(self) -> None:
        self._found: dict[AddressKey, tuple[int, float]] = {}

    def keep(self, keys: Collection[AddressKey]) -> None:
        """Forget all others."""
        self._found = {key: found for key, found in self._found.items() if key in keys}

    def is_due(self, key: AddressKey, times: int, now: float) -> bool:
        """Whether to try it again now; it was found for so many times."""
        if self._found.get(key, (0, 0.0))[0] != times:
            self._found[key] = (times, now)
        return now >= self._found[key][1] + rest_after(times)
