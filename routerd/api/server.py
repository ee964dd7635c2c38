"""Serves an ASGI application on Unix sockets: accepts, counts and bounds connections, and ends them in time.

One application serves all sockets; what a socket is and who is at its other end stand in `scope["state"]`.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import trio
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext

from routerd.api.connection import Asgi, Connection, Limits
from routerd.api.http1 import refusal_bytes
from routerd.api.sockets import Listener, Peer, peer_of

log = logging.getLogger(__name__)

GRACE = 2.0
"""Seconds that answers under way have when serving ends."""

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
BACK_OFF = 0.1


@attrs.frozen
class Capacity:
    """How many connections a socket takes. Root has no limit of its own and room that others cannot take."""

    whole: int = 256
    per_user: int = 64
    for_root: int = 16


WATCHERS = 1280
"""Connections that a socket takes where there are descriptors in plenty: a thousand watchers, and room beside them."""


def capacity_for(descriptors: int) -> Capacity:
    """What fits a process that may have so many descriptors: a quarter of them for one socket, so that clients cannot
    take those that the router itself needs."""
    return Capacity(whole=min(max(descriptors // 4, Capacity().whole), WATCHERS))


LIMITS = Limits()
CAPACITY = Capacity()


@attrs.define(eq=False)
class Server:
    """One socket being served. `state` is what the application finds in `scope["state"]`, with `peer` (Peer) and
    `server` (this) added."""

    app: Asgi
    state: dict[str, Any]
    limits: Limits = LIMITS
    capacity: Capacity = CAPACITY
    stopping: bool = attrs.field(init=False, default=False)
    streams: int = attrs.field(init=False, default=0)
    """Event streams that are open; whoever streams counts them."""
    turned_away: int = attrs.field(init=False, default=0)
    """Connections that were one too many."""
    _connections: dict[Connection, int] = attrs.field(init=False, factory=dict)
    """Open connections with their users, the longest open first."""
    _users: Counter[int] = attrs.field(init=False, factory=Counter)
    _waits: set[trio.CancelScope] = attrs.field(init=False, factory=set)
    _exhausted: bool = attrs.field(init=False, default=False)
    _config: Config = attrs.field(init=False, factory=lambda: _config())
    _context: WorkerContext = attrs.field(init=False, factory=lambda: WorkerContext(None))

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    @contextmanager
    def waiting(self, seconds: float) -> Iterator[trio.CancelScope]:
        """Bounds a wait for something to happen: at most so long, and no longer than we serve."""
        with trio.move_on_after(0 if self.stopping else seconds) as scope:
            self._waits.add(scope)
            try:
                yield scope
            finally:
                self._waits.discard(scope)

    async def accept(self, listener: socket.socket, nursery: trio.Nursery) -> None:
        """Accept until cancelled."""
        while True:
            await trio.lowlevel.wait_readable(listener)
            try:
                client, _ = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                self._complain(error)
                await trio.sleep(BACK_OFF)  # others may free what we lack; the clients wait in the backlog
            else:
                self._exhausted = False
                self._welcome(client, nursery)

    async def stop(self) -> None:
        """Let every answer end, within GRACE."""
        self.stopping = True
        await self._context.terminated.set()
        for scope in self._waits:
            scope.cancel()
        for connection in self._connections:
            connection.stop(GRACE)

    def _complain(self, error: OSError) -> None:
        if not self._exhausted:
            log.warning("cannot accept connections for now: %s", error)
        self._exhausted = True

    def _welcome(self, client: socket.socket, nursery: trio.Nursery) -> None:
        client.setblocking(False)
        try:
            peer = peer_of(client)
        except OSError as error:
            log.warning("a connection without credentials is closed: %s", error)
            client.close()
            return
        if self._room_for(peer):
            state = {**self.state, "peer": peer, "server": self}
            connection = Connection(self.app, self._config, self._context, state, client, self.limits)
            self._connections[connection] = peer.uid
            self._users[peer.uid] += 1
            nursery.start_soon(self._serve, connection)
        else:
            self._turn_away(client)

    def _room_for(self, peer: Peer) -> bool:
        """Whether one more fits; if need be, in the place of the oldest one that is idle."""
        root = peer.uid == 0
        own = not root and self._users[peer.uid] >= self.capacity.per_user
        if not own and len(self._connections) < self.capacity.whole - (0 if root else self.capacity.for_root):
            return True
        for connection, user in self._connections.items():
            if connection.idle and (user == peer.uid or not own):
                self._forget(connection)
                connection.hang_up()
                return True
        return False

    def _turn_away(self, client: socket.socket) -> None:
        self.turned_away += 1
        with client:
            try:
                client.send(refusal_bytes(503))
            except OSError:
                log.debug("a client that was one too many is gone already")

    def _forget(self, connection: Connection) -> None:
        user = self._connections.pop(connection, None)
        if user is not None:
            self._users -= Counter({user: 1})

    async def _serve(self, connection: Connection) -> None:
        try:
            await connection.run()
        except* Exception as errors:  # one bad connection must not end the others
            log.exception("a connection failed; this is a defect of routerd", exc_info=errors)
        finally:
            self._forget(connection)


async def serve_unix(
    listener: Listener,
    app: Asgi,
    state: dict[str, Any],
    *,
    limits: Limits = LIMITS,
    capacity: Capacity = CAPACITY,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` until cancelled. Then new clients are refused at once, and answers under way have GRACE seconds. The
    socket's file is its owner's to remove. Raises OSError when accepting fails."""
    server = Server(app, state, limits, capacity)
    async with trio.open_nursery() as nursery:
        try:
            task_status.started(server)
            await server.accept(listener.socket, nursery)
        finally:
            listener.close()
            with trio.CancelScope(shield=True):
                await server.stop()


def _config() -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = None
    return config
