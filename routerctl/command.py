"""`renew`, `rebind`, `release`, `info-request`, `flush`, `start`, `stop`, `reload`: commands to one daemon, on its own
socket, to their end."""

from __future__ import annotations

from routerctl.client import part
from routerctl.errors import Exit, Failure
from routerctl.kinds import DAEMON_DIRECTORIES, daemon_directory, daemons_in, did_you_mean, split_reference
from routerctl.times import parse_duration
from routerctl.underway import Underway
from routerctl.words import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from routerctl.client import Client, Object
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
    "info-request": """
  routerctl info-request DHCPv6Information/wan      ask for name servers and the rest now
""",
    "flush": """
  routerctl flush DHCPv6PrefixDelegation/wan        forget every lease without a word, and begin anew
""",
    "start": """
  routerctl start DHCPv4Client/wan                  after stop or release
""",
    "stop": """
  routerctl stop DHCPv4Client/wan                   stop the daemon, keep the lease
  routerctl stop IPv6RouterAdvertisement/lan        take this router's leave of a LAN
""",
    "reload": """
  routerctl reload DHCPv4Client/wan                 take up its files again
""",
}
TIMEOUT = "10s"
"""What `--timeout` is without being said. It is for the command, not for an answer."""
LONGEST = 60.0
"""Seconds that routerd waits for the end of a command, at most (contract rule 7)."""


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
    watch = None if args.no_wait else Underway(client, socket, "/v1/events", out, verb)
    try:
        command = client.begin(socket, "POST", f"/v1/commands/{verb}", query, {"command": verb}, wait=wait)
    except Failure as failure:
        raise _no_such_daemon(client, kind, name, failure) from failure
    if watch is not None:
        watch.until(command)
    return _ended(verb, f"{kind}/{name}", client.finish(socket, command), args.no_wait, out)


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
    directories = {directory: kind for kind, directory in reversed(DAEMON_DIRECTORIES.items())}
    known = [one.partition("/") for one in daemons_in(client.run_dir)]
    if client.socket or not known or not isinstance(failure.__cause__, FileNotFoundError):
        return failure
    names = [f"{directories[directory]}/{name}" for directory, _, name in known]
    return Failure(Exit.NOT_FOUND, f"no daemon runs for {kind}/{name}", did_you_mean(f"{kind}/{name}", names))
