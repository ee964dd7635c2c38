"""`routerctl get prefixes`: a delegated prefix; below it its lease, where its subnets are, and what it took the place
of."""

from __future__ import annotations

from routerctl.client import entries
from routerctl.times import ahead, clock
from routerctl.words import cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from routerctl.client import Object

PREFIX_HEADER = ("NAME", "PREFIX", "PHASE", "PREFERRED", "VALID", "DETAIL")

LENGTHS = {"requestedLength": "asked", "offeredLength": "offered", "boundLength": "bound"}
TIMES = {"renewAt": "renew", "rebindAt": "rebind"}
IDENTITIES = {"serverDUID": "server", "clientDUID": "client", "iaid": "IAID"}


def prefix_rows(item: Object, now: float, wide: bool = False) -> Iterator[Sequence[object]]:
    """One of the delegated prefixes under its header: itself, its lease, its subnets, and those that it replaced.
    `wide`: with instants beside what is left until then, and with who we are to the server."""
    prefix, phase = item.get("prefix"), item.get("phase")
    ends = [_end(item.get(name), now, wide) if prefix else None for name in ("preferredUntil", "validUntil")]
    yield item.get("name"), prefix, phase, *ends, _detail(item)
    times = [f"{word} {_at(item[name], now, wide)}" for name, word in TIMES.items() if item.get(name)]
    if times:
        yield "  lease", None, None, None, None, ", ".join(times)
    for name, word in IDENTITIES.items():
        if item.get(name) is not None and (wide or name == "serverDUID"):
            yield f"  {word}", None, None, None, None, item[name]
    for subnet in entries(item, "subnets"):
        yield _subnet(subnet)
    for former in entries(item, "previous"):
        fate = f"replaced by {cell(former['replacedBy'])}" if former.get("replacedBy") else "lost"
        yield "  before", former.get("prefix"), "Deprecated", "over", _end(former.get("expiresAt"), now, wide), fate


def _detail(item: Object) -> str:
    """Lengths as far as they are known, what of it is not ours, and why it is not as it should be."""
    lengths = [f"{word} /{cell(item[name])}" for name, word in LENGTHS.items() if item.get(name) is not None]
    without = [f"without {cell(item['excludedPrefix'])}"] if item.get("excludedPrefix") else []
    why = [cell(item["reason"])] if item.get("reason") not in (None, "", item.get("phase")) else []
    return ", ".join([*why, *lengths, *without])


def _subnet(subnet: Object) -> Sequence[object]:
    """Where a part of it is, or why it is nowhere."""
    name, phase = cell(subnet.get("resource")).rpartition("/")[2], subnet.get("phase")
    what = subnet.get("reason") if subnet.get("reason") != phase else subnet.get("address")
    on = cell(subnet.get("ifname") or subnet.get("interface"))
    return f"  {name}", subnet.get("prefix"), phase, None, None, f"{cell(what)} on {on}" if what else f"on {on}"


def _end(instant: object, now: float, wide: bool) -> str:
    """Without one there is none."""
    return _at(instant, now, wide) or "for ever"


def _at(instant: object, now: float, wide: bool) -> str:
    left = ahead(instant, now)
    return f"{left} ({clock(instant, now)})" if left and wide else left
