"""What came of sending something to a collector."""

from __future__ import annotations

import attrs


@attrs.frozen
class Delivery:
    """`ok`, or the `reason` why not; `final`: it would be refused the next time, too."""

    ok: bool
    reason: str = ""
    final: bool = False
