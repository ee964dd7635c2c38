"""`routerctl get`: resources and routerd's other subjects in lists, once or as they change."""

from __future__ import annotations

from routerctl.client import entries
from routerctl.errors import Exit, Failure
from routerctl.feed import PAGE, POLL, Feed
from routerctl.kinds import canonical, did_you_mean, reference
from routerctl.resources import ALL, RECENT, suggested
from routerctl.subjects import PATHS, SUBJECT_OF, WORDS, View, items_of
from routerctl.times import parse_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import NoReturn

    from routerctl.client import Client, Object
    from routerctl.http1 import Query
    from routerctl.output import Out

EXAMPLES = {
    "get": """
  routerctl get                          all resources
  routerctl get dhcpv4client -w          the DHCPv4 clients, and each change of them
  routerctl get Interface/wan -o yaml    one resource, whole
  routerctl get controllers              what each controller did last, and its errors
  routerctl get prefixes                 delegated prefixes: lengths, times, subnets, what they replaced
  routerctl get -o name                  names, for scripts
"""
}

USUAL = 50
"""Events before those that are watched for, unless said otherwise."""
RETRY = 1.0
"""Seconds until a resource is asked for again when routerd went away in between."""


def arguments(verb: str, parser: ArgumentParser) -> None:
    """Its options."""
    subjects = ", ".join(WORDS)
    parser.add_argument(
        "subject", metavar="SUBJECT", nargs="?", default="resources", help=f"KIND[/NAME], or {subjects}"
    )
    parser.add_argument("-w", "--watch", action="store_true", help="go on with changes, over restarts of routerd")
    parser.add_argument("--watch-only", action="store_true", help="changes alone, without the list before them")
    parser.add_argument("--limit", metavar="N", type=parse_count, help="at most N rows")
    parser.add_argument("--events-limit", metavar="N", type=parse_count, help="newest events with each resource")
    parser.add_argument("--since", metavar="ID", help="events after this one")
    parser.add_argument("--topic", metavar="GLOB", help="events of these topics")
    parser.add_argument("--resource", metavar="KIND/NAME", help="events that concern this resource")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Ask, show, and with -w go on."""
    subject = SUBJECT_OF.get(args.subject.lower(), "resources")
    asked = _asked(args.subject, subject)
    query = _query(subject, args, out.form)
    view = View(out, subject)
    if not (args.watch or args.watch_only):
        view.show(_get(client, asked, query))
        return Exit.OK
    if subject == "events":
        return _watch_events(client, view, query, args, out)
    feed = Feed(client, out.note)
    feed.last(0)
    before = _get(client, asked, query)
    if subject == "resources":
        view.items([] if args.watch_only else items_of(subject, before))
        return _watch_resources(client, feed, view, asked, query)
    if not args.watch_only:
        view.show(before)
    return _watch_subject(client, feed, view, asked, before)


def _watch_resources(client: Client, feed: Feed, view: View, asked: str, query: Query) -> NoReturn:
    """Show each resource that an event concerns, as it is then. Those that could not be asked for stay to be asked."""
    changed: dict[str, None] = {}
    while True:
        changed.update(dict.fromkeys(_touched(feed.wait(RETRY if changed else POLL), asked)))
        for target in list(changed):
            if (items := _now(client, target, query)) is None:
                break
            view.items(items)
            del changed[target]


def _now(client: Client, target: str, query: Query) -> list[Object] | None:
    """The resource, or that it is gone; None when routerd is away."""
    try:
        return entries(client.get("/get", [("subject", target), *query]), "items")
    except Failure as failure:
        if failure.code is Exit.NOT_FOUND:
            kind, _, name = target.partition("/")
            return [{"kind": kind, "name": name, "status": {"phase": "Deleted"}}]
        if failure.code is Exit.UNREACHABLE:
            return None
        raise


def _watch_subject(client: Client, feed: Feed, view: View, asked: str, before: Object) -> NoReturn:
    """Show the whole answer again whenever something has happened and it differs."""
    stale = False
    while True:
        stale = bool(feed.wait(RETRY if stale else POLL)) or stale
        try:
            answer = _get(client, asked, ()) if stale else before
        except Failure as failure:
            if failure.code is not Exit.UNREACHABLE:
                raise
            continue
        if answer != before:
            view.show(answer)
        stale, before = False, answer


def _watch_events(client: Client, view: View, query: Query, args: Namespace, out: Out) -> NoReturn:
    """The newest, then each as it comes."""
    feed = Feed(client, out.note, [pair for pair in query if pair[0] in ("topic", "resource")])
    count = 0 if args.watch_only else USUAL if args.limit is None else args.limit
    found = entries(feed.last(min(count, PAGE)), "events")
    while True:
        view.items(found)
        found = feed.wait()


def _touched(events: list[Object], asked: str) -> list[str]:
    """`Kind/name` of what the events concern, as far as it was asked for."""
    touched = [
        f"{event.get('resourceKind')}/{event.get('resourceName')}" for event in events if event.get("resourceKind")
    ]
    return [one for one in touched if asked in ("resources", one, one.partition("/")[0])]


def _asked(text: str, subject: str) -> str:
    """What to call it to routerd."""
    if subject != "resources" or text.lower() in SUBJECT_OF:
        return subject
    return reference(text) if "/" in text else canonical(text)


def _query(subject: str, args: Namespace, form: str) -> Query:
    events = args.events_limit if args.events_limit is not None else {"table": RECENT, "name": 0}.get(form, 10)
    query = [("events-limit", str(events))] if subject == "resources" else []
    limit = str(args.limit) if args.limit is not None else ALL if subject == "resources" else ""
    query += [("limit", limit)] if limit else []
    query += [("since-id", args.since)] if args.since else []
    query += [("topic", args.topic)] if args.topic else []
    return query + ([("resource", reference(args.resource))] if args.resource else [])


def _get(client: Client, asked: str, query: Query) -> Object:
    if asked in PATHS:
        return client.get(PATHS[asked], query, as_admin=True)
    try:
        return client.get("/get", [("subject", asked), *query])
    except Failure as failure:
        raise _ours_too(asked, suggested(client, asked, failure)) from None


def _ours_too(asked: str, failure: Failure) -> Failure:
    """The failure: where routerd lists what `/get` answers to, with the subjects that are asked for elsewhere."""
    if failure.code is Exit.NOT_FOUND and "/" not in asked and not failure.hint.startswith("did you mean"):
        ours = did_you_mean(asked, PATHS)
        failure.hint = f"{failure.hint}; and {', '.join(PATHS)}" if failure.hint and "?" not in ours else ours
    return failure
