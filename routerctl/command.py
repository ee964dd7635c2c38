"""`renew`, `rebind`, `release`, `start`, `stop`, `reload`: commands to one daemon, on its own socket, to their end."""

from __future__ import annotations

import select
import time

from routerctl.client import entries, part
from routerctl.errors import Exit, Failure
from routerctl.kinds import DAEMON_DIRECTORIES, daemon_directory, daemons_in, did_you_mean, split_reference
from routerctl.output import clean
from routerctl.resources import BOOKKEEPING
from routerctl.times import parse_duration, span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from routerctl.client import Client, Object, Query
    from routerctl.http1 import Exchange
    from routerctl.output import Out

EXAMPLES = {
    "renew": """
  routerctl renew DHCPv4Client/wan                  ask the server to extend the lease now
  routerctl renew DHCPv4Client/wan --timeout 30s
  routerctl renew DHCPv4Client/wan --no-wait        only begin, and print the event to follow
""",
    "rebind": """
  routerctl rebind DHCPv4Client/wan                 ask any server to extend the lease now
""",
    "release": """
  routerctl release DHCPv4Client/wan                give the lease back; the WAN is down then
""",
    "start": """
  routerctl start DHCPv4Client/wan                  after stop or release
""",
    "stop": """
  routerctl stop DHCPv4Client/wan                   stop the daemon, keep the lease
""",
    "reload": """
  routerctl reload DHCPv4Client/wan                 take up its files again
""",
}
TIMEOUT = "10s"
"""What `--timeout` is without being said. It is for the command, not for an answer."""
LONGEST = 60.0
"""Seconds that routerd waits for the end of a command, at most (contract rule 7)."""
TICK = 1.0
"""Seconds between the counts of a terminal's progress line."""


def arguments(verb: str, parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("target", metavar="KIND/NAME", help="whose daemon")
    parser.add_argument("--no-wait", action="store_true", help="only begin it, and print the id of its event")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Send the command and show how it ended."""
    kind, name = split_reference(args.target)
    socket = client.daemon(daemon_directory(kind), name)
    wait = 0.0 if args.no_wait else min(parse_duration(args.timeout or TIMEOUT), LONGEST)
    query = [("wait", f"{round(wait * 1000)}ms")]
    watch = None if args.no_wait else _Watch(client, socket, out, verb)
    try:
        command = client.begin(socket, "POST", f"/v1/commands/{verb}", query, {"command": verb}, wait=wait)
    except Failure as failure:
        raise _no_such_daemon(client, kind, name, failure) from failure
    if watch is not None:
        watch.until(command)
    return _ended(verb, f"{kind}/{name}", client.finish(socket, command), args.no_wait, out)


class _Watch:
    """Shows what the daemon does while a command is under way: on a terminal one line, elsewhere a line for each event.
    If the events cannot be had it shows less; that is no failure of the command."""

    def __init__(self, client: Client, socket: str, out: Out, verb: str) -> None:
        self._client = client
        self._socket = socket
        self._out = out
        self._started = time.monotonic()
        self._doing = verb
        newest = self._begin([("tail", "true")])
        self._cursor = "" if newest is None else str((self._page(newest) or {}).get("cursor") or "")

    def until(self, command: Exchange) -> None:
        """Return when the answer to the command begins to come, or will not come."""
        poll = self._next()
        while not command.expired:
            self._out.progress(f"waiting: {self._doing}  {self._elapsed}")
            ready, _, _ = select.select([command, poll] if poll else [command], (), (), TICK)
            if command in ready:
                break
            if poll is not None and poll in ready:
                page = self._page(poll)
                poll = None if page is None else self._told(page)
        if poll is not None:
            poll.close()

    @property
    def _elapsed(self) -> str:
        return span(time.monotonic() - self._started)

    def _begin(self, query: Query, wait: float = 0.0) -> Exchange | None:
        try:
            return self._client.begin(self._socket, "GET", "/v1/events", query, wait=wait)
        except Failure:
            return None

    def _page(self, exchange: Exchange) -> Object | None:
        try:
            return self._client.finish(self._socket, exchange)
        except Failure:
            return None

    def _next(self) -> Exchange | None:
        return self._begin([("since", self._cursor), ("wait", "30s")], 30.0) if self._cursor else None

    def _told(self, page: Object) -> Exchange | None:
        """Show the events of a page; the poll for the next."""
        self._cursor = str(page.get("cursor") or "")
        for event in entries(page, "events"):
            if not str(event.get("type")).startswith(BOOKKEEPING):
                self._doing = str(event.get("message") or event.get("reason") or event.get("type"))
                if not self._out.progresses:
                    self._out.note(f"waiting: {self._doing}  {self._elapsed}")
        return self._next()


def _ended(verb: str, target: str, result: Object, no_wait: bool, out: Out) -> Exit:
    attributes = part(result, "attributes")
    message = str(result.get("message") or "")
    event = attributes.get("eventId")
    if out.form != "table":
        out.one(result, target)
    if result.get("accepted") is not True:
        raise Failure(Exit.CONFLICT, f"{verb} {target}: {message or 'refused'}")
    if attributes.get("succeeded") == "false":
        raise Failure(Exit.FAILED, f"{verb} {target}: {message or 'it did not succeed'}", _see(target, event))
    if attributes.get("pending") == "true" and not no_wait:
        raise Failure(Exit.TIMEOUT, f"{verb} {target} has not ended yet; it goes on", _see(target, event))
    if out.form == "table":
        out.line(clean(f"{verb} {target}: {message or 'accepted'}" + (f" (event {event})" if event else "")))
    return Exit.OK


def _see(target: str, event: object) -> str:
    return f"routerctl events -f --since {event} --resource {target}" if event else f"routerctl describe {target}"


def _no_such_daemon(client: Client, kind: str, name: str, failure: Failure) -> Failure:
    """Other daemons have their sockets and this one has not: then it is not routerd that is missing."""
    directories = {directory: kind for kind, directory in DAEMON_DIRECTORIES.items()}
    known = [one.partition("/") for one in daemons_in(client.run_dir)]
    if client.socket or not known or not isinstance(failure.__cause__, FileNotFoundError):
        return failure
    names = [f"{directories[directory]}/{name}" for directory, _, name in known]
    return Failure(Exit.NOT_FOUND, f"no daemon runs for {kind}/{name}", did_you_mean(f"{kind}/{name}", names))
