"""The API's tasks, as the root nursery starts them: the main and the status socket, and one per managed daemon."""

from __future__ import annotations

import os
import resource
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import trio

from routerd.api.access import Audit, SocketKind
from routerd.api.app import make_app
from routerd.api.operation import Doorway, Membership
from routerd.api.plane import Daemon, Plane
from routerd.api.runtime import collections_timed
from routerd.api.server import capacity_for, serve_unix
from routerd.api.sockets import Listener, bind_unix

PRIVATE = 0o660
PUBLIC = 0o666


async def serve_api(
    plane: Plane,
    *,
    main_path: str,
    status_path: str,
    group: str,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the control API until cancelled. `group` names the operators, the configuration the admins beside root; a
    group that does not exist has no members. Raises OSError when a socket cannot be had."""
    membership = Membership(group, plane)
    audit = Audit(plane.log)
    paths: dict[SocketKind, str] = {"main": main_path, "status": status_path}
    doorways = [Doorway(kind, path, plane, membership, audit, main_path) for kind, path in paths.items()]
    with ExitStack() as taken:
        listeners = [taken.enter_context(_bind(doorway)) for doorway in doorways]
        with collections_timed():
            async with trio.open_nursery() as nursery:
                for doorway, listener in zip(doorways, listeners, strict=True):
                    await nursery.start(partial(_serve, doorway, listener))
                task_status.started()


async def serve_daemon(
    plane: Plane,
    daemon: Daemon,
    path: str,
    *,
    group: str = "routerd",
    task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve one daemon's API until cancelled, to the same groups. Raises OSError when the socket cannot be had."""
    doorway = Doorway("daemon", path, plane, Membership(group, plane), Audit(plane.log), path, daemon)
    with _bind(doorway) as listener:
        await _serve(doorway, listener, task_status=task_status)


async def _serve(
    doorway: Doorway, listener: Listener, *, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED
) -> None:
    async with trio.open_nursery() as nursery:
        capacity = capacity_for(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        serve = partial(serve_unix, listener, make_app(), {"doorway": doorway}, capacity=capacity)
        server = await nursery.start(serve)
        with doorway.plane.traffic.serving(doorway.kind, server):
            task_status.started()
            await trio.sleep_forever()


def _bind(doorway: Doorway) -> Listener:
    _make_directory(Path(doorway.path).parent)
    if doorway.kind == "status":
        return bind_unix(doorway.path, mode=PUBLIC)
    return bind_unix(doorway.path, mode=PRIVATE, gid=_gid_to_give(doorway.groups.operators))


def _make_directory(directory: Path) -> None:
    """For everybody to enter and for us to write, whatever the umask."""
    if not directory.exists():
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)


def _gid_to_give(gid: int | None) -> int:
    """The group that a socket gets, or -1 when there is none or we may not give it away."""
    return gid if gid is not None and (os.geteuid() == 0 or gid in os.getgroups()) else -1
