"""`routerctl events`: what happened, oldest first, and what happens."""

from __future__ import annotations

import time

from routerctl.client import entries, number
from routerctl.errors import Exit, Failure
from routerctl.feed import EVENT_HEADER, PAGE, Feed, cursor_at, event_row, happened, stored
from routerctl.kinds import reference
from routerctl.table import Table
from routerctl.times import ago, clock, is_cursor, parse_count, parse_moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from routerctl.client import Client, Object
    from routerctl.output import Out

EXAMPLES = {
    "events": """
  routerctl events                                   the last 50
  routerctl events -f                                the last 10, then as they come
  routerctl events --since 10m --severity warning    what went wrong in the last ten minutes
  routerctl events --since 02:13 --until 02:20 --resource DHCPv4Client/wan
  routerctl events -f --topic 'routerd.dhcpv4.**' -o jsonl
  routerctl events -f --consumer alarm -o jsonl      go on where `alarm` was, also after days; for operators
"""
}
SEVERITIES = ("debug", "info", "warning", "error")


def arguments(verb: str, parser: ArgumentParser) -> None:
    """Its options."""
    end = parser.add_mutually_exclusive_group()
    end.add_argument("-f", "--follow", action="store_true", help="go on with new events, over restarts of routerd")
    end.add_argument("--until", metavar="TIME", help="stop at this time")
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--since", metavar="TIME", help="10m (ago), 02:13, RFC 3339, or the id of the event before")
    begin.add_argument("--tail", metavar="N", type=parse_count, help="begin with the last N")
    begin.add_argument("--consumer", metavar="CONSUMER", help="go on where it was; what is printed is acknowledged")
    parser.add_argument("--topic", metavar="GLOB", action="append", default=[], help="* one word, ** any; repeatable")
    parser.add_argument("--resource", metavar="KIND/NAME", help="only what concerns this resource")
    parser.add_argument("--severity", choices=SEVERITIES, help="at least this severe")
    parser.add_argument("--limit", metavar="N", type=parse_count, help="stop after N")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Print them."""
    _forward(args)
    feed = Feed(client, out.note, filters(args))
    try:
        first = _first(args, client, feed)
    except Failure as failure:
        if failure.status == 400 and failure.code is Exit.FAILED:
            failure.code = Exit.USAGE  # All that was asked with stands on the command line.
        raise
    printer = Printer(out, args)
    if out.whole and not args.follow:
        wanted = list(printer.wanted(entries(first, "events")))
        out.value({**first, "events": wanted})
        out.flush()
        _acknowledge(args, feed, out, len(wanted) == len(entries(first, "events")))
        return Exit.OK
    for events in _batches(args, feed, first):
        before = printer.printed
        printer.print(events)
        _acknowledge(args, feed, out, printer.printed - before == len(events) > 0)
        if printer.done:
            break
    if not (printer.printed or args.follow or 0 in (args.limit, args.tail)):
        out.note(_horizon(client, first))
    return Exit.OK


def _acknowledge(args: Namespace, feed: Feed, out: Out, whole: bool) -> None:
    """What has been printed has come to its consumer, if all of the answer has; else it comes again."""
    if not (args.consumer and whole):
        return
    try:
        feed.acknowledge(args.consumer)
    except Failure as failure:
        if not args.follow or failure.code is not Exit.UNREACHABLE:
            raise
        out.note(f"not acknowledged ({failure.message}): these events will come again")


def _forward(args: Namespace) -> None:
    """Raises Failure (usage) when the end is before the beginning."""
    if args.until and args.since and not is_cursor(args.since):
        now = time.time()
        if parse_moment(args.until, now) < parse_moment(args.since, now):
            what = f"--until {args.until} is before --since {args.since}"
            raise Failure(Exit.USAGE, what, "both are times: 10m is ten minutes ago")


def filters(args: Namespace) -> list[tuple[str, str]]:
    """What the options ask of `/events`."""
    query = [("topic", topic) for topic in args.topic]
    query += [("resource", reference(args.resource))] if args.resource else []
    return query + ([("severity", args.severity)] if args.severity else [])


class Printer:
    """Prints batches of events until `--limit` or `--until`: then it is `done`."""

    def __init__(self, out: Out, args: Namespace) -> None:
        self.printed = 0
        self.done = args.limit == 0
        self._out = out
        self._limit = args.limit
        self._until = parse_moment(args.until, time.time()) if args.until else None
        self._when = clock if args.follow else ago
        self._table = Table(out, *EVENT_HEADER, painted="SEVERITY")

    def print(self, events: list[Object]) -> None:
        """Print what is wanted of them."""
        wanted = list(self.wanted(events))
        self.printed += len(wanted)
        if self._out.form == "table":
            self._table.rows(event_row(event, self._when(happened(event), time.time())) for event in wanted)
        else:
            self._out.items(wanted, lambda event: f"Event/{event.get('id')}")
        self._out.flush()

    def wanted(self, events: list[Object]) -> Iterator[Object]:
        """Those that come before the end."""
        if self.done:
            return
        for count, event in enumerate(events, self.printed + 1):
            if self._until is not None and stored(event) > self._until:
                self.done = True
                return
            yield event
            if count == self._limit:
                self.done = True
                return


def _first(args: Namespace, client: Client, feed: Feed) -> Object:
    if args.consumer:
        return feed.resumed(args.consumer, min(args.limit or PAGE, PAGE))
    if args.since is None:
        usual = 10 if args.follow else 50 if args.limit is None else args.limit
        return feed.last(min(usual if args.tail is None else args.tail, PAGE))
    cursor = args.since
    if not is_cursor(cursor):
        moment = parse_moment(cursor, time.time())
        cursor = cursor_at(client, moment)
    return feed.after(cursor, min(args.limit or PAGE, PAGE))


def _batches(args: Namespace, feed: Feed, first: Object) -> Iterator[list[Object]]:
    yield entries(first, "events")
    if args.since is not None or args.consumer:
        yield from feed.rest()
    while args.follow:
        yield feed.wait()


def _horizon(client: Client, first: Object) -> str:
    """Where the log begins and ends, for an empty answer that means "none", not "gone"."""
    oldest, newest = number(first, "oldest"), number(first, "newest")
    if newest < oldest or not newest:
        return "no events: the log is empty"
    before = str(max(0, oldest - 1))
    found = entries(client.get("/events", [("since", before), ("limit", "1")]), "events")
    since = f" ({clock(happened(found[0]), time.time())})" if found else ""
    return f"no events match; the log reaches from event {oldest}{since} to event {newest}"
