"""Resources as routerd answers them: asking for them, and their state in a few words."""

from __future__ import annotations

from routerctl.client import entries, number, part
from routerctl.errors import Exit, Failure
from routerctl.kinds import did_you_mean
from routerctl.times import ago
from routerctl.words import cell, role

TYPE_CHECKING = False
if TYPE_CHECKING:
    from routerctl.client import Client, Object

BOOKKEEPING = ("routerd.resource.status.changed", "routerd.daemon.command.", "routerd.api.")
"""Topics that follow from other events, or from ourselves."""
RECENT = 8
"""Events of a resource among which one that tells why should be."""
ALL = "100000"
"""The limit that is none: left to itself, routerd stops at 100."""

_GATEWAYS = ("defaultGateway", "gateway")
_SUBJECTS = ("interface", "ifname", "address", "destination", "target", "topic", "zone", "key")
_FACTS = ("currentAddress", "currentPrefix", "addresses", "address", "destination", "ifname", "device")


def listed(client: Client, subject: str) -> list[Object]:
    """The resources of a subject (`resources`, `Kind`, `Kind/name`), without their events."""
    return entries(client.get("/get", [("subject", subject), ("events-limit", "0"), ("limit", ALL)]), "items")


def described(client: Client, target: str, events: int = 10) -> Object:
    """The DescribeResult of `Kind/name`."""
    try:
        return client.get("/describe", [("target", target), ("events-limit", str(events))])
    except Failure as failure:
        raise suggested(client, target, failure) from None


def suggested(client: Client, target: str, failure: Failure) -> Failure:
    """The failure, with the likeliest existing resource or kind as its hint when there was no such thing."""
    if failure.code is Exit.NOT_FOUND and not failure.hint:
        known = [reference_of(item) for item in listed(client, "resources")]
        kinds = dict.fromkeys(one.partition("/")[0] for one in known)
        failure.hint = did_you_mean(target, known if "/" in target else kinds)
    return failure


def reference_of(resource: Object) -> str:
    """`Kind/name`."""
    return f"{resource.get('kind')}/{resource.get('name')}"


def phase_of(resource: Object) -> str:
    """Its phase; `Unknown` until it has one."""
    return str(part(resource, "status").get("phase") or "Unknown")


def address_of(status: Object) -> str:
    """The address of a lease, with its prefix length."""
    address, length = status.get("currentAddress"), status.get("prefixLength")
    return f"{address}/{length}" if address and length and "/" not in str(address) else str(address or "")


def summary(resource: Object) -> str:
    """Its phase and what matters beside it: `Bound 192.0.2.10/24 via 192.0.2.1`, `Pending LinkAbsent wan0`."""
    status = part(resource, "status")
    words = [phase_of(resource)]
    if (reason := status.get("reason")) and reason != words[0] and role(words[0]) != "good":
        words += [str(reason)]
    fact = next((key for key in _FACTS if status.get(key)), "")
    words += [address_of(status) if fact == "currentAddress" else cell(status[fact])] if fact else []
    gateway = next((status[key] for key in _GATEWAYS if status.get(key)), None)
    return " ".join([*words, f"via {cell(gateway)}"] if gateway else words)


def brief_spec(resource: Object) -> str:
    """What its spec is about, on one line: `interface=wan`, `destination=10.0.0.0/8`. `describe` has all of it."""
    spec = part(resource, "spec")
    keys = [key for key in _SUBJECTS if spec.get(key)] or list(spec)[:2]
    return " ".join(f"{key}={_brief(spec[key])}" for key in keys)


def _brief(value: object) -> str:
    """What a value is about: of a mapping its subject, or else its first plain word."""
    if isinstance(value, list):
        return ", ".join(_brief(one) for one in value) or "-"
    if not isinstance(value, dict):
        return cell(value)
    plain = {key: one for key, one in value.items() if not isinstance(one, (dict, list))}
    key = next((key for key in (*_SUBJECTS, *plain) if plain.get(key)), "")
    return cell(plain[key]) if key else "{...}"


def newest_event(resource: Object) -> Object:
    """The newest of the events that came with it, rather one that tells why than one that keeps the books; empty when
    none did."""
    events = entries(resource, "events")
    telling = [event for event in events if not str(event.get("type")).startswith(BOOKKEEPING)]
    return max(telling or events, key=lambda event: number(event, "id"), default={})


def last_happened(resource: Object, now: float) -> str:
    """The newest event in two words: `LeaseBound 3m12s`."""
    event = newest_event(resource)
    return f"{event.get('reason') or event.get('type') or ''} {ago(event.get('createdAt'), now)}" if event else ""
