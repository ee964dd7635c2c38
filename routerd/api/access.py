"""Who may do what (contract rule 3), and the record of who did or was not let.

A role comes from the peer's credentials alone. Every refusal and everything that somebody has changed is an event. Of
what was under way when routerd ended, `routerd.api.unfinished` tells at the next start.
"""

from __future__ import annotations

import grp
import os
import time
from collections import OrderedDict
from enum import IntEnum
from functools import cached_property
from typing import Literal

import attrs

from routerd.api.sockets import Peer, exe_of
from routerd.events.log import Log
from routerd.events.types import Event, Ref, Severity, Source

SocketKind = Literal["main", "status", "daemon"]

API = Source("routerd", "routerd", "api")

REQUESTED, ENDED = "routerd.api.command.requested", "routerd.api.command.ended"

QUIET = 10.0
"""Seconds in which refusals of the same user for the same thing are counted instead of told: any local user can
be refused a thousand times a second, and the log is on disk."""
REMEMBERED = 256


class Role(IntEnum):
    """What a peer may do; each may do what those below it may."""

    OBSERVER = 0
    OPERATOR = 1
    ADMIN = 2

    def __str__(self) -> str:
        return self.name.lower()


@attrs.frozen
class Groups:
    """The groups whose members are operators and admins, by number; those that this host does not have are left out."""

    operators: int | None = None
    admins: frozenset[int] = frozenset()
    name: str = "routerd"
    """What the operators' group is called."""
    admin_names: tuple[str, ...] = ()
    """What the admins' groups are called."""

    @property
    def complete(self) -> bool:
        """Whether the host has all of them."""
        return self.operators is not None and len(self.admins) == len(self.admin_names)


def groups_named(operators: str, *admins: str) -> Groups:
    """The groups of these names, as the host knows them now."""
    known = frozenset(gid for name in admins if (gid := _gid(name)) is not None)
    return Groups(_gid(operators), known, operators, admins)


def has_group(name: str) -> bool:
    """Whether the host knows it now."""
    return _gid(name) is not None


def _gid(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def role_of(peer: Peer, groups: Groups) -> Role:
    """What the peer may do on the main socket and on daemons' sockets. Whoever runs routerd may do all that root may:
    they could do it to the process anyway."""
    if peer.uid in (0, os.geteuid()) or groups.admins & peer.groups:
        return Role.ADMIN
    return Role.OPERATOR if groups.operators in peer.groups else Role.OBSERVER


@attrs.frozen
class Client:
    """Who asks, by which request."""

    peer: Peer
    request_id: str
    socket: str

    @cached_property
    def exe(self) -> str:
        """The program, while it can be told."""
        return exe_of(self.peer.pid)

    @property
    def actor(self) -> str:
        """As events name an actor: `uid=1000 pid=4711 /usr/bin/routerctl request=01J8…`."""
        return " ".join(filter(None, (str(self.peer), self.exe, f"request={self.request_id}")))

    @property
    def attributes(self) -> dict[str, str]:
        """The same, taken apart."""
        peer = self.peer
        return {
            "uid": str(peer.uid),
            "gid": str(peer.gid),
            "pid": str(peer.pid),
            "exe": self.exe,
            "requestId": self.request_id,
            "socket": self.socket,
        }


@attrs.define(eq=False)
class Act:
    """Something that a client was let to do and that may change something. Whoever carries it out names `began` as a
    cause of what follows from it, and says what that was."""

    words: str
    """What is done: `renew DHCPv4Client/wan`, `apply`."""
    resource: Ref | None = None
    began: int = 0
    """The id of the event that tells of it."""
    outcome: str = "succeeded"
    """How it ended, when it is answered with 2xx: else `pending`, `failed`."""
    led_to: tuple[int, ...] = ()
    """Ids of events."""

    @property
    def attributes(self) -> dict[str, str]:
        """As its events have them."""
        return {"act": self.words} | ({"events": ",".join(map(str, self.led_to))} if self.led_to else {})


@attrs.define(eq=False)
class Audit:
    """Writes who was refused, and who did what: before it is done, and how it ended."""

    log: Log
    _told: OrderedDict[tuple[int, str], tuple[float, int]] = attrs.field(init=False, factory=OrderedDict)
    """(user, act) -> when it was told last, and how often it was refused since."""

    async def refused(self, client: Client, act: str, why: str) -> None:
        """Somebody was not let. `act` like `POST /v1/commands/renew`."""
        count = self._count(client.peer.uid, act)
        if count is not None:
            attributes = {"act": act} | ({"suppressed": str(count)} if count else {})
            event = Event("routerd.api.refused", "warning", "Forbidden", f"{act}: {why}", attributes=attributes)
            await self._tell(client, event)

    async def begins(self, client: Client, act: Act, generation: int) -> None:
        """Somebody is about to do something. It is on disk when this returns, or the log is degraded."""
        words, attributes = act.words, act.attributes
        event = Event(REQUESTED, "info", "CommandRequested", words, act.resource, None, attributes)
        act.began = await self._tell(client, attrs.evolve(event, generation=generation))

    async def ended(self, client: Client, act: Act, outcome: str, status: int | None, generation: int) -> None:
        """How it ended: a word, and with which status it was answered; None: the client did not wait for that."""
        severity: Severity = "info" if outcome in ("succeeded", "pending") else "warning"
        attributes = act.attributes | {"outcome": outcome} | ({} if status is None else {"status": str(status)})
        causes, words = (act.began, *act.led_to), f"{act.words}: {outcome}"
        event = Event(ENDED, severity, "CommandEnded", words, act.resource, None, attributes, causes)
        await self._tell(client, attrs.evolve(event, generation=generation))

    def _count(self, uid: int, act: str) -> int | None:
        """How many refusals to tell of besides this one; None: this one is only counted."""
        now = time.monotonic()
        at, count = self._told.pop((uid, act), (-QUIET, 0))
        quiet = now - at < QUIET
        self._told[uid, act] = (at, count + 1) if quiet else (now, 0)
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        return None if quiet else count

    async def _tell(self, client: Client, event: Event) -> int:
        attributes = {**client.attributes, **event.attributes}
        ids = await self.log.append(attrs.evolve(event, source=API, attributes=attributes, actor=client.actor))
        return ids[0]
