"""routerd as its sockets show it: real HTTP over real Unix sockets, in threads, with answers in the contract's shapes.

Not a router: it holds resources and events, and answers what a test tells it to.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

CONTROL = "control.routerd.net/v1alpha1"
DAEMON = "daemon.routerd.net/v1alpha1"
NET = "net.routerd.net/v1alpha1"
PREFIX = f"/api/{CONTROL}"

Answer = tuple[int, Any] | bytes
"""Status and JSON value; or bytes, sent as they are before the connection is closed."""
SEVERITIES = ("debug", "info", "warning", "error")


def at(seconds_from_now: float) -> str:
    """RFC 3339 in UTC, with the nanoseconds that Go writes."""
    moment = time.time() + seconds_from_now
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment % 1 * 1e9):09}Z"


def error(status: int, message: str, **details: Any) -> Answer:
    """Contract rule 2."""
    body = {"message": message, "code": f"test.{status}", **details}
    return status, {"apiVersion": CONTROL, "kind": "Error", "error": body, "requestId": "01J8TEST"}


class Routerd:
    """Serves `run_dir/routerd-status.sock`, `routerd.sock`, and the sockets of its daemons, from `start` to `stop`."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.epoch = "e1"
        self.oldest = 1
        self.lost = 0
        """What the next page says was lost."""
        self.resources: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.controllers: list[dict[str, Any]] = []
        self.status: dict[str, Any] = {"phase": "Healthy", "generation": 3, "lastApplyTime": at(-7500)}
        self.generations = [
            {"generation": 3, "startedAt": at(-7520), "finishedAt": at(-7519), "phase": "Healthy", "hasYaml": True}
        ]
        self.checks: list[dict[str, Any]] = []
        self.daemons: dict[str, list[dict[str, Any]]] = {}
        """`dhcpv4-client/wan` -> its events."""
        self.commands: dict[str, Callable[[Routerd, dict[str, list[str]]], Answer]] = {}
        self.overrides: dict[str, Answer | Callable[[str], Answer]] = {}
        """Path -> what to answer instead; a callable is given the socket's name."""
        self.posts: dict[str, Callable[[Any], Answer]] = {}
        """Path under the control API's prefix -> what is answered to a body."""
        self.pending = ""
        """What each answer says of a change that waits to be confirmed: `GENERATION CONFIRM-BY`."""
        self.fields: list[dict[str, str]] = []
        """The header fields of each request so far."""
        self.requests: list[tuple[str, str, str, dict[str, list[str]], Any]] = []
        """Socket, method, path, query, body of each request so far."""
        self.grown = threading.Condition()
        self.daemon_polls: list[int] = []
        """Cursors from which events of daemons were asked for."""
        self.polling = 0
        """Long polls that wait now."""
        self._servers: list[socketserver.UnixStreamServer] = []

    # Being there

    def start(self) -> None:
        """Listen; the sockets are connectable when this returns."""
        for name in ("routerd-status.sock", "routerd.sock", *(f"{daemon}.sock" for daemon in self.daemons)):
            path = self.run_dir / name
            path.parent.mkdir(parents=True, exist_ok=True)
            server = _Server(str(path), _handler(self, name))
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            self._servers.append(server)

    def stop(self) -> None:
        """Be gone: sockets unlinked, long polls broken off."""
        servers, self._servers = self._servers, []
        for server in servers:
            Path(os.fsdecode(server.server_address)).unlink(missing_ok=True)  # type: ignore[arg-type]
            server.shutdown()
            server.server_close()
        with self.grown:
            self.grown.notify_all()

    def living(self) -> Callable[[], bool]:
        """Whether it serves still, without having been gone meanwhile: what one life took up, the next does not
        answer, however late it is noticed."""
        life = self._servers
        return lambda: bool(life) and self._servers is life

    # What happens in it

    def resource(self, kind: str, name: str, spec: dict[str, Any], status: dict[str, Any] | None) -> None:
        """There is such a resource now."""
        view = {"apiVersion": NET, "kind": kind, "name": name, "resourceVersion": len(self.events), "spec": spec}
        self.resources[f"{kind}/{name}"] = view | ({} if status is None else {"status": status})

    def event(self, topic: str, message: str = "", *, age: float = 0.0, about: str = "", **more: Any) -> int:
        """Something happened `age` seconds ago; its id."""
        with self.grown:
            number = self.events[-1]["id"] + 1 if self.events else self.oldest
            kind, _, name = about.partition("/")
            concerns = {"apiVersion": NET, "kind": kind, "name": name} if about else {}
            self.events.append(
                {
                    "id": number,
                    **concerns,
                    "type": topic,
                    "topic": topic,
                    "severity": "info",
                    "reason": "".join(word.title() for word in topic.split(".")[-2:]),
                    "message": message,
                    "createdAt": at(-age),
                    "time": at(-age),
                    "actor": "routerd",
                    **(
                        {"resourceKind": kind, "resourceName": name, "resource": {"kind": kind, "name": name}}
                        if about
                        else {}
                    ),
                    **more,
                }
            )
            self.grown.notify_all()
            return number

    def change(self, reference: str, topic: str, message: str = "", **status: Any) -> None:
        """An object's status changes, and an event says so."""
        self.resources[reference]["status"] = {**self.resources[reference].get("status", {}), **status}
        self.event(topic, message, about=reference)

    def remove(self, reference: str) -> None:
        """A resource goes."""
        del self.resources[reference]
        self.event("routerd.resource.removed", about=reference)

    def rebuild(self, epoch: str) -> None:
        """The log is lost, and begins anew."""
        with self.grown:
            self.epoch, self.events, self.oldest = epoch, [], 1
            self.grown.notify_all()

    def prune(self, upto: int) -> None:
        """Retention takes the events up to this id."""
        with self.grown:
            self.events = [event for event in self.events if event["id"] > upto]
            self.oldest = upto + 1

    def daemon_event(self, daemon: str, topic: str, message: str) -> None:
        """A daemon tells of an event."""
        with self.grown:
            events = self.daemons[daemon]
            cursor = str(len(events) + 1)
            about = {"kind": "DHCPv4Client", "name": daemon.partition("/")[2]}
            events.append(
                {"cursor": cursor, "time": at(0), "type": topic, "topic": topic, "message": message, "resource": about}
            )
            self.grown.notify_all()

    # What it answers

    def answer(self, socket: str, method: str, path: str, query: dict[str, list[str]], body: Any) -> Answer:
        """As routerd would."""
        self.requests.append((socket, method, path, query, body))
        if (told := self.overrides.get(path)) is not None:
            return told(socket) if callable(told) else told
        if method == "POST" and (post := self.posts.get(path.removeprefix(PREFIX))) is not None:
            return post(body)
        if path.startswith("/v1/"):
            return self._daemon(socket.removesuffix(".sock"), method, path, query)
        if path in ("/livez", "/readyz"):
            failed = [check for check in self.checks if check["status"] == "fail"]
            shown = self.checks if "verbose" in query else failed
            return (503 if failed else 200), {"status": "failed" if failed else "ok", "checks": shown}
        if path == "/openapi.json":
            return 200, {"openapi": "3.1.0", "info": {"title": "routerd", "version": "9.8.7"}, "paths": {}}
        facts = {"/status": self._status, "/controllers": self._controllers, "/runtime": self._runtime}
        if (fact := facts.get(path.removeprefix(PREFIX))) is not None:
            return 200, fact()
        handler = {
            "/get": self._get,
            "/describe": self._describe,
            "/events": self._events,
        }.get(path.removeprefix(PREFIX))
        return handler(query) if handler else error(404, f"there is nothing at {path}")

    def _status(self) -> dict[str, Any]:
        status = {"resourceCount": len(self.resources), "controllers": self.controllers, **self.status}
        return {"apiVersion": CONTROL, "kind": "Status", "metadata": {"name": "routerd"}, "status": status}

    def _controllers(self) -> dict[str, Any]:
        metadata = {"name": "controllers"}
        return {"apiVersion": CONTROL, "kind": "Controllers", "metadata": metadata, "items": self.controllers}

    def _runtime(self) -> dict[str, Any]:
        return {
            "apiVersion": CONTROL,
            "kind": "RuntimeStats",
            "heapInuseBytes": 41943040,
            "tasks": 17,
            "loopLagMillis": 0.25,
        }

    def _get(self, query: dict[str, list[str]]) -> Answer:
        subject = query.get("subject", ["resources"])[0]
        result: dict[str, Any] = {"apiVersion": CONTROL, "kind": "GetResult", "metadata": {"name": subject}}
        if subject == "status":
            raw = self._status()
            return 200, result | {"status": raw["status"], "raw": raw}
        if subject in ("controllers", "runtime"):
            return 200, result | {"raw": (self._controllers if subject == "controllers" else self._runtime)()}
        if subject == "prefixes":
            return 200, result | {"raw": self._prefixes}
        if subject == "events":
            after, limit = int(query.get("since-id", ["0"])[0]), int(query.get("limit", ["50"])[0])
            return 200, result | {"events": [event for event in reversed(self.events) if event["id"] > after][:limit]}
        if subject == "ledger":
            return 200, result | {"ledger": {"integrity": "ok", "generations": self.generations}}
        kind, _, name = subject.partition("/")
        found = [
            view
            for key, view in self.resources.items()
            if subject == "resources" or key == subject or (not name and key.startswith(f"{kind}/"))
        ]
        if not found and subject not in ("resources", "IPv4Route"):
            return error(400, f"bad request: {subject} not found", field="subject")
        limit, events = (
            int(query.get(key, [default])[0]) for key, default in (("limit", "100"), ("events-limit", "10"))
        )
        return 200, result | {"items": [self._with_events(view, events) for view in found[:limit]]}

    @cached_property
    def _prefixes(self) -> dict[str, Any]:
        """A prefix that has replaced another half an hour ago; one LAN has its part of it, and one is too many."""
        lan = {"resource": "IPv6DelegatedAddress/lan", "phase": "Applied", "interface": "lan", "ifname": "lan0"}
        lan |= {"reason": "Applied", "prefix": "2001:db8:77:1::/64", "address": "2001:db8:77:1::1/64"}
        guests = {"resource": "IPv6DelegatedAddress/guests", "phase": "Pending", "interface": "guests"}
        guests |= {"reason": "SubnetDoesNotFit"}
        prefix = {
            "name": "wan-pd",
            "phase": "Bound",
            "interface": "wan",
            "prefix": "2001:db8:77::/60",
            "requestedLength": 56,
            "boundLength": 60,
            "renewAt": at(690),
            "rebindAt": at(1490),
            "preferredUntil": at(2490),
            "reason": "Bound",
            "serverDUID": "00:03:00:01:02:00:00:00:00:01",
            "clientDUID": "00:03:00:01:02:00:00:00:00:99",
            "iaid": 1,
            "subnets": [guests, lan],
            "previous": [
                {"prefix": "2001:db8:40::/56", "expiresAt": at(5430), "replacedBy": "2001:db8:77::/60"},
            ],
        }
        lost = {
            "name": "wan-pd2",
            "phase": "Acquiring",
            "reason": "NotGranted",
            "previous": [{"prefix": "2001:db8:9::/56"}],
        }
        head = {"apiVersion": CONTROL, "kind": "Prefixes", "metadata": {"name": "prefixes"}}
        return {**head, "items": [prefix, lost]}

    def _describe(self, query: dict[str, list[str]]) -> Answer:
        target = query["target"][0]
        if target not in self.resources:
            return error(404, f"there is no {target}")
        view = self._with_events(self.resources[target], int(query.get("events-limit", ["10"])[0]))
        return 200, {"apiVersion": CONTROL, "kind": "DescribeResult", "metadata": {"name": target}, "resource": view}

    def _with_events(self, view: dict[str, Any], limit: int) -> dict[str, Any]:
        keys = ("id", "apiVersion", "kind", "name", "type", "reason", "message", "createdAt")
        own = [event for event in self.events if (event.get("kind"), event.get("name")) == (view["kind"], view["name"])]
        newest = list(reversed(own))[:limit]
        return view | (
            {"events": [{key: event[key] for key in keys} | {"generation": 3} for event in newest]} if newest else {}
        )

    def _events(self, query: dict[str, list[str]]) -> Answer:
        limit = int(query.get("limit", ["100"])[0])
        if "tail" in query:
            found = [event for event in self.events if _matches(event, query)][-int(query["tail"][0]) :]
            return 200, self._page(found, self._newest)
        epoch, _, digits = query.get("since", ["0"])[0].rpartition("-")
        after = int(digits)
        if epoch not in ("", self.epoch) or (digits != "0" and not self.oldest - 1 <= after <= self._newest):
            return error(410, "this cursor is of another event log", oldest=f"{self.epoch}-{self.oldest - 1}")
        living = self.living()
        deadline = time.monotonic() + int(query.get("wait", ["0ms"])[0].removesuffix("ms")) / 1000
        with self.grown:
            while True:
                found = [event for event in self.events if event["id"] > after and _matches(event, query)]
                left = deadline - time.monotonic()
                if found or left <= 0 or not living():
                    break
                self._poll(left)
        if not living():
            return b""
        whole = len(found) < limit
        return 200, self._page(found[:limit], self._newest if whole else found[limit - 1]["id"])

    def _poll(self, timeout: float) -> None:
        self.polling += 1
        self.grown.notify_all()
        self.grown.wait(timeout)
        self.polling -= 1

    def await_poll(self) -> None:
        """Return when somebody waits for events."""
        with self.grown:
            assert self.grown.wait_for(lambda: self.polling, 20)

    def await_daemon_poll(self, after: int) -> None:
        """Return when somebody has asked for what follows that event of a daemon."""
        with self.grown:
            assert self.grown.wait_for(lambda: after in self.daemon_polls, 20)

    @property
    def _newest(self) -> int:
        return self.events[-1]["id"] if self.events else self.oldest - 1

    def _page(self, events: list[dict[str, Any]], cursor: int) -> dict[str, Any]:
        return {
            "apiVersion": CONTROL,
            "kind": "Events",
            "epoch": self.epoch,
            "events": events,
            "cursor": f"{self.epoch}-{cursor}",
            "oldest": self.oldest,
            "newest": self._newest,
            "lost": self.lost,
        }

    def _daemon(self, daemon: str, method: str, path: str, query: dict[str, list[str]]) -> Answer:
        if path == "/v1/events":
            return self._daemon_events(daemon, query)
        command = path.removeprefix("/v1/commands/")
        if command == path:
            return error(404, f"there is nothing at {path}")
        if method != "POST":
            return error(405, "commands are posted")
        if command not in self.commands:
            return error(501, f"{daemon} has no command {command}")
        return self.commands[command](self, query)

    def _daemon_events(self, daemon: str, query: dict[str, list[str]]) -> Answer:
        events = self.daemons[daemon]
        if "tail" in query:
            return 200, {"cursor": str(len(events)), "events": events[-1:]}
        after, living = int(query["since"][0]), self.living()
        with self.grown:
            self.daemon_polls.append(after)
            self.grown.notify_all()
            self.grown.wait_for(lambda: len(events) > after or not living(), 30)
        return (200, {"cursor": str(len(events)), "events": events[after:]}) if living() else b""


def result(command: str, message: str, *, accepted: bool = True, **attributes: str) -> dict[str, Any]:
    """A CommandResult."""
    return {
        "apiVersion": DAEMON,
        "kind": "CommandResult",
        "command": command,
        "accepted": accepted,
        "message": message,
        "attributes": attributes,
    }


@contextlib.contextmanager
def raw_server(path: Path, respond: Callable[[Any], None]) -> Iterator[None]:
    """A listener at `path` that hands each connection, its request read, to `respond`."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            request = b""
            while b"\r\n\r\n" not in request and (data := self.request.recv(65536)):
                request += data
            with contextlib.suppress(OSError):
                respond(self.request)

    path.parent.mkdir(parents=True, exist_ok=True)
    with _Server(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
            path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no error here."""


def _handler(routerd: Routerd, socket: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def address_string(self) -> str:
            return socket

        def log_message(self, format: str, *args: object) -> None:
            """Tests read `requests` instead."""

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = parse_qs(parts.query, keep_blank_values=True)
            routerd.fields.append(dict(self.headers.items()))
            told = routerd.answer(socket, self.command, parts.path, query, json.loads(data) if data else None)
            if isinstance(told, bytes):
                self.wfile.write(told)
            else:
                status, value = told
                body = json.dumps(value, indent=2).encode()
                self.send_response_only(status, "")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                if routerd.pending:
                    self.send_header("X-Routerd-Pending", routerd.pending)
                self.end_headers()
                self.wfile.write(body)
            self.close_connection = True

    return Handler


def _matches(event: dict[str, Any], query: dict[str, list[str]]) -> bool:
    about = f"{event.get('resourceKind')}/{event.get('resourceName')}"
    least = SEVERITIES.index(query.get("severity", ["debug"])[0])
    return (
        SEVERITIES.index(event["severity"]) >= least
        and query.get("resource", [about])[0] == about
        and ("topic" not in query or any(fnmatch.fnmatchcase(event["topic"], glob) for glob in query["topic"]))
    )
