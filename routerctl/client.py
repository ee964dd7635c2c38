"""routerd's sockets: which one to ask, how long to wait, and what went wrong in words that help.

Reads go to the status socket first and to the main one when the first refuses, or the other way round where an admin
is told more; changes go to the main one; daemon commands to the daemon's own socket. Only reads are tried again,
shortly, while nobody listens: routerd may be restarting.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time

from routerctl.errors import Exit, Failure, refusal
from routerctl.http1 import Answer, Exchange, Garbled, encode_query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from routerctl.http1 import Query

    Object = dict[str, Any]

PREFIX = "/api/control.routerd.net/v1alpha1"
ANSWER = 30.0
"""Seconds that an answer may take, unless said otherwise."""
BACKOFF = (0.05, 0.1, 0.2, 0.4)
"""Seconds between tries of a read that finds nobody listening."""

PENDING = "x-routerd-pending"
"""The header field of an answer while a change waits to be confirmed: `GENERATION CONFIRM-BY`."""

_ABSENT = (errno.ENOENT, errno.ECONNREFUSED, errno.EAGAIN, errno.ECONNRESET, errno.EPIPE)


def default_run_dir() -> str:
    """Where routerd keeps its sockets on this system, unless `ROUTERD_RUN_DIR` says otherwise."""
    known = "/var/run/routerd" if sys.platform.startswith("freebsd") else "/run/routerd"
    return os.environ.get("ROUTERD_RUN_DIR") or known


class Client:
    """Asks routerd. Every method raises Failure, and nothing else, for what can go wrong.

    `socket` is the one socket to use instead of those in `run_dir`; `timeout` (seconds) bounds each answer;
    `deadline` (on the monotonic clock) bounds all of them; with `patient` False nothing is tried twice.
    """

    def __init__(self, run_dir: str, socket: str = "", timeout: float = ANSWER) -> None:
        self.run_dir = run_dir
        self.socket = socket
        self.timeout = timeout
        self.deadline: float | None = None
        self.patient = True
        self.warn: Callable[[str], None] | None = None
        """Is told, once, of the first answer that says that a change waits to be confirmed."""

    @property
    def main(self) -> str:
        """The socket for what not everybody may do."""
        return self.socket or f"{self.run_dir}/routerd.sock"

    def get(self, path: str, query: Query = (), *, wait: float = 0.0, as_admin: bool = False) -> Object:
        """The answer of the control API to a read, which may take `wait` seconds longer (a long poll). `as_admin`: ask
        the main socket first, because an admin is told more."""
        return _checked(self.fetch(PREFIX + path, query, wait=wait, as_admin=as_admin))

    def post(self, path: str, body: Object) -> Object:
        """The answer of the control API to what is sent once, to the main socket."""
        return self.finish(self.main, self.begin(self.main, "POST", PREFIX + path, (), body))

    def read(self, path: str, query: Query = (), *, wait: float = 0.0) -> Object:
        """As `get`, for a path from the root."""
        return _checked(self.fetch(path, query, wait=wait))

    def fetch(self, path: str, query: Query = (), *, wait: float = 0.0, as_admin: bool = False) -> Answer:
        """The answer as it is, whatever its status."""
        target, timeout = path + encode_query(query), self._within(self.timeout + wait)
        sockets = self._readable()[:: -1 if as_admin else 1]
        pauses = iter(BACKOFF if self.patient else ())
        while not isinstance(outcome := self._ask(sockets, target, timeout), Answer):
            pause = next(pauses, None)
            if pause is None or not all(error.errno in _ABSENT for _, error in outcome):
                raise unreachable(outcome, timeout)
            time.sleep(pause)
        return outcome

    def daemon(self, directory: str, name: str) -> str:
        """The socket of a daemon."""
        return self.socket or f"{self.run_dir}/{directory}/{name}.sock"

    def begin(
        self,
        socket: str,
        method: str,
        path: str,
        query: Query = (),
        body: Object | None = None,
        *,
        wait: float = 0.0,
        fields: Query = (),
    ) -> Exchange:
        """Send a request to one socket and do not wait for the answer: `finish` does, when it is time to."""
        payload = b"" if body is None else json.dumps(body).encode()
        target, timeout = path + encode_query(query), self._within(self.timeout + wait)
        try:
            return Exchange(socket, method, target, payload, timeout=timeout, fields=fields)
        except OSError as error:
            raise unreachable([(socket, error)], self.timeout) from error

    def finish(self, socket: str, exchange: Exchange) -> Object:
        """The decoded answer of what `begin` sent."""
        try:
            return _checked(self._finished(socket, exchange))
        except OSError as error:
            raise unreachable([(socket, error)], self.timeout) from error

    def _within(self, timeout: float) -> float:
        return timeout if self.deadline is None else max(0.001, min(timeout, self.deadline - time.monotonic()))

    def _readable(self) -> list[str]:
        return [self.socket] if self.socket else [f"{self.run_dir}/routerd-status.sock", f"{self.run_dir}/routerd.sock"]

    def _ask(self, sockets: list[str], target: str, timeout: float) -> Answer | list[tuple[str, OSError]]:
        """Each socket in turn until one lets us in, else why each did not; a 403 stands if nothing better came."""
        failed: list[tuple[str, OSError]] = []
        denied: Answer | None = None
        for socket in sockets:
            try:
                answer = self._finished(socket, Exchange(socket, "GET", target, timeout=timeout))
            except OSError as error:
                failed.append((socket, error))
                if isinstance(error, TimeoutError):
                    break
                continue
            if answer.status != 403:
                return answer
            denied = denied or answer
        return denied or failed

    def _finished(self, socket: str, exchange: Exchange) -> Answer:
        try:
            with exchange:
                answer = exchange.answer()
        except Garbled as error:
            hint = "is that routerd's socket?"
            raise Failure(Exit.UNREACHABLE, f"{socket} did not give a proper answer: {error}", hint) from error
        if self.warn is not None and (pending := answer.fields.get(PENDING)):
            warn, self.warn = self.warn, None
            warn(_banner(pending))
        return answer


def entries(answer: Object, key: str) -> list[Object]:
    """The objects in a list of an answer; absent and null are empty."""
    found = answer.get(key)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def number(answer: Object, key: str) -> int:
    """The whole number under a key; 0 when there is none."""
    found = answer.get(key)
    return found if isinstance(found, int) else 0


def part(answer: Object, key: str) -> Object:
    """The object under a key; empty when there is none."""
    found = answer.get(key)
    return found if isinstance(found, dict) else {}


def unreachable(failed: list[tuple[str, OSError]], timeout: float) -> Failure:
    """Why no socket could be used, and what to try."""
    telling = (pair for pair in failed if isinstance(pair[1], (PermissionError, TimeoutError)))
    socket, error = next(telling, failed[0])
    tried = ", ".join(path for path, _ in failed)
    if isinstance(error, PermissionError):
        return Failure(Exit.DENIED, f"permission denied on {socket}", _join_group())
    if isinstance(error, TimeoutError):
        hint = "is routerd stuck? its log may say; --timeout waits longer"
        return Failure(Exit.UNREACHABLE, f"no answer from {socket} within {timeout:g}s", hint)
    if error.errno in _ABSENT:
        said = "no socket" if error.errno == errno.ENOENT else "nobody listens"
        return Failure(
            Exit.UNREACHABLE,
            f"cannot reach routerd: {said} at {socket}",
            f"is it running? `{_service()}`; tried {tried}; --run-dir or ROUTERD_RUN_DIR says where else",
        )
    return Failure(Exit.UNREACHABLE, f"cannot use {socket}: {error.strerror or error}", f"tried {tried}")


def _checked(answer: Answer) -> Object:
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        body = None
    if not 200 <= answer.status < 300:
        raise refusal(answer.status, body)
    if not isinstance(body, dict):
        raise Failure(Exit.UNREACHABLE, "the answer is not a JSON object", "is that routerd's socket?")
    return body


def _banner(pending: str) -> str:
    """What every verb says while a change waits to be confirmed."""
    from routerctl.times import ahead

    generation, _, confirm_by = pending.partition(" ")
    when = ahead(confirm_by, time.time())
    return f"pending: generation {generation} is rolled back {when} unless confirmed: routerctl confirm"


def _join_group() -> str:
    if sys.platform.startswith("freebsd"):
        return "be a member of the group routerd: `pw groupmod routerd -m $USER`, then log in again"
    return "be a member of the group routerd: `sudo usermod -aG routerd $USER`, then log in again"


def _service() -> str:
    return "service routerd status" if sys.platform.startswith("freebsd") else "systemctl status routerd"
