"""`routerctl get prefixes`: a delegated prefix, below it where its subnets are, and what it takes the place of."""

from __future__ import annotations

from routerctl.client import entries
from routerctl.output import cell
from routerctl.times import ahead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from routerctl.client import Object

PREFIX_HEADER = ("NAME", "PREFIX", "PHASE", "ASKED/OFFERED/BOUND", "RENEW", "REBIND", "PREFERRED", "VALID", "SERVER")


def prefix_rows(item: Object, now: float) -> Iterator[Sequence[object]]:
    """One of the delegated prefixes under its header: itself, its subnets, and those that it replaced."""
    lengths = [item.get(name) for name in ("requestedLength", "offeredLength", "boundLength")]
    asked = "/".join("-" if one is None else cell(one) for one in lengths) if any(lengths) else None
    has = bool(item.get("prefix"))
    yield (
        item.get("name"),
        item.get("prefix"),
        item.get("phase"),
        asked,
        ahead(item.get("renewAt"), now),
        ahead(item.get("rebindAt"), now),
        _end(item.get("preferredUntil"), now) if has else None,
        _end(item.get("validUntil"), now) if has else None,
        item.get("serverDUID"),
    )
    for subnet in entries(item, "subnets"):
        on = f"{cell(subnet.get('prefix') or 'no subnet')} on {cell(subnet.get('ifname') or subnet.get('interface'))}"
        phase = subnet.get("phase")
        yield f"  {cell(subnet.get('resource'))}", on, phase, *[None] * 6
    for former in entries(item, "previous"):
        change = f"{cell(former.get('prefix'))} -> {cell(former.get('replacedBy') or 'nothing')}"
        yield "  before", change, "Deprecated", *[None] * 4, _end(former.get("expiresAt"), now), None


def _end(instant: object, now: float) -> str:
    """Without one there is none."""
    return ahead(instant, now) or "for ever"
