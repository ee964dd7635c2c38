"""`routerctl wait`: until a resource is as one wants it. Driven by its events; says what it waits for."""

from __future__ import annotations

import time

from routerctl.client import part
from routerctl.errors import Exit, Failure
from routerctl.feed import POLL, Feed
from routerctl.health import readiness
from routerctl.kinds import reference
from routerctl.resources import RECENT, address_of, described, reference_of
from routerctl.times import parse_duration, span
from routerctl.wanted import Wanted, blocker
from routerctl.words import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from routerctl.client import Client, Object
    from routerctl.http1 import Query
    from routerctl.output import Out

EXAMPLES = {
    "wait": """
  routerctl wait DHCPv4Client/wan --for phase=Bound --or-fail phase=Error --timeout 60s
  routerctl wait DHCPv4Client/wan --for condition=LeaseReady --for jsonpath=.status.defaultGateway=192.0.2.1
  routerctl wait Interface/guest --for deleted
  routerctl wait routerd --for ready --timeout 30s
"""
}
CONDITIONS = "phase=P, condition=T, deleted, jsonpath=PATH=VALUE, or ready (routerd); repeatable: all of them"
TIMEOUT = "60s"
"""What `--timeout` is without being said. It is for the whole wait, not for an answer."""
RECHECK = 2.0
"""Seconds after which readiness is asked again: not all of it is told by events."""
GRACE = 1.0
"""Seconds that the last look may take beyond the timeout."""
KNOCK = 0.2
"""Seconds between tries to find routerd at all."""


def arguments(verb: str, parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("target", metavar="KIND/NAME", help="the resource, or `routerd` itself")
    parser.add_argument("--for", dest="wanted", metavar="CONDITION", action="append", required=True, help=CONDITIONS)
    parser.add_argument("--or-fail", metavar="CONDITION", action="append", default=[], help="give up when this holds")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Look, say what keeps it, sleep until something happens to it, look again."""
    started = time.monotonic()
    deadline = started + parse_duration(args.timeout or TIMEOUT)
    client.deadline, client.patient = deadline + GRACE, False
    watched = _Routerd(client, args) if args.target == "routerd" else _Resource(client, args)
    pulse = _Pulse(client, watched.concerns)
    said = ""
    while True:
        state = _look(watched, pulse)
        left, elapsed = deadline - time.monotonic(), span(time.monotonic() - started)
        if state.met:
            _met(out, state, elapsed)
            return Exit.OK
        if state.failed:
            raise Failure(Exit.CONDITION, f"{watched.name} is {state.blocker} after {elapsed}: {state.failed} holds")
        if left <= 0:
            wish = ", ".join(args.wanted)
            raise Failure(Exit.TIMEOUT, f"{watched.name} is {state.blocker} after {elapsed}; wanted {wish}")
        if state.blocker != said:
            said = state.blocker
            out.note(f"waiting: {said:<60} {elapsed}")
        pulse.sleep(min(left, watched.recheck))


def _look(watched: _Resource | _Routerd, pulse: _Pulse) -> Look:
    """Where the log ends is taken before the look: what happens after it wakes us."""
    try:
        pulse.take()
        return watched.look()
    except Failure as failure:
        if failure.code is not Exit.UNREACHABLE:
            raise
        return Look(blocker=f"out of reach ({failure.message})")


def _met(out: Out, state: Look, elapsed: str) -> None:
    if out.form == "table":
        out.line(f"{clean('met: ' + state.met):<69} {elapsed}")
    elif state.seen is not None:
        out.one(state.seen, reference_of(state.seen))


class Look:
    """What was seen: `met` says how, `failed` by which condition, else `blocker` why not yet."""

    __slots__ = ("blocker", "failed", "met", "seen")

    def __init__(self, seen: Object | None = None, *, met: str = "", failed: str = "", blocker: str = "") -> None:
        self.seen = seen
        self.met = met
        self.failed = failed
        self.blocker = blocker


class _Resource:
    """A resource, until the conditions hold."""

    def __init__(self, client: Client, args: Namespace) -> None:
        self.name = reference(args.target)
        self.concerns = [("resource", self.name)]
        self.recheck = POLL
        self._client = client
        self._wanted = [Wanted(text) for text in args.wanted]
        self._or_fail = [Wanted(text) for text in args.or_fail]

    def look(self) -> Look:
        """How it is now."""
        resource = self._read()
        unmet = [one for one in self._wanted if not one.holds(resource)]
        failed = next((one.text for one in self._or_fail if one.holds(resource)), "")
        if not unmet:
            met = [one.text for one in self._wanted]
            return Look(resource, met=" ".join(met + _facts(resource)))
        why = "gone" if resource is None else blocker(resource, unmet)
        return Look(resource, failed=failed, blocker=why)

    def _read(self) -> Object | None:
        try:
            return part(described(self._client, self.name, RECENT), "resource")
        except Failure as failure:
            if failure.code is Exit.NOT_FOUND and any(one.text == "deleted" for one in (*self._wanted, *self._or_fail)):
                return None
            raise


class _Routerd:
    """routerd itself, until /readyz says so."""

    def __init__(self, client: Client, args: Namespace) -> None:
        if args.wanted != ["ready"] or args.or_fail:
            raise Failure(Exit.USAGE, "routerd itself can be waited for only with `--for ready`")
        self.name = "routerd"
        self.concerns: list[tuple[str, str]] = []
        self.recheck = RECHECK
        self._client = client

    def look(self) -> Look:
        """How it is now."""
        health = readiness(self._client)
        if health.ready:
            return Look({"kind": "Router", "name": "routerd"}, met="ready")
        why = "; ".join(f"{check.get('name')}: {check.get('detail')}" for check in health.failing)
        return Look(blocker=f"not ready ({why or 'it does not say why'})")


class _Pulse:
    """Sleeps until an event tells of a change, from before the first look on; or shortly, when routerd is not there."""

    def __init__(self, client: Client, query: Query) -> None:
        self._feed = Feed(client, lambda _: None, query)
        self._taken = False

    def take(self) -> None:
        """Know where the log ends now. Raises Failure."""
        if not self._taken:
            self._feed.last(0)
            self._taken = True

    def sleep(self, most: float) -> None:
        """Until the next event, at most so many seconds."""
        if self._taken:
            self._feed.wait(most)
        else:
            time.sleep(min(most, KNOCK))


def _facts(resource: Object | None) -> list[str]:
    status = part(resource or {}, "status")
    address, prefix = address_of(status), status.get("currentPrefix")
    return ([f"address={address}"] if address else []) + ([f"prefix={prefix}"] if prefix else [])
