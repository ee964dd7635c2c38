"""What a decoder answers when bytes are not what they should be: a value, never an exception (C6)."""

from __future__ import annotations

import attrs


@attrs.frozen
class Malformed:
    """Bytes that were refused. `reason` is a stable, countable word such as `bad-cookie`."""

    reason: str
