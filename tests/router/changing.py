"""A router whose configuration is changed through its API, as tests ask for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.api.client import Answer, control, fetch
from tests.router.rig import Rig

NET = "net.routerd.net/v1alpha1"
NO_HEADERS: Mapping[str, str] = {}


def resource(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": NET, "kind": kind, "metadata": {"name": name}, "spec": spec}


def candidate(*resources: Any) -> str:
    """A document to merge. JSON is YAML."""
    return json.dumps({"spec": {"resources": list(resources)}})


def lan(name: str = "lan", ifname: str = "eth1", **spec: Any) -> dict[str, Any]:
    return resource("Interface", name, ifname=ifname, **spec)


def address(name: str, interface: str, cidr: str, **spec: Any) -> dict[str, Any]:
    return resource("IPv4StaticAddress", name, interface=interface, address=cidr, **spec)


async def post(
    rig: Rig, path: str, body: Any = None, *, headers: Mapping[str, str] = NO_HEADERS, **fields: Any
) -> Answer:
    """As root, by the main socket. `fields` are those of the body."""
    octets = body if isinstance(body, bytes) else json.dumps(fields).encode()
    return await fetch(str(rig.run_dir / "routerd.sock"), control(path), "POST", octets, **headers)


async def done(rig: Rig, path: str, **fields: Any) -> dict[str, Any]:
    """The result of something that succeeds."""
    answer = await post(rig, path, **fields)
    assert answer.status == 200, answer.body.decode()
    result: dict[str, Any] = answer.json.get("result") or answer.json
    return result


async def apply(rig: Rig, *resources: Any, **fields: Any) -> dict[str, Any]:
    return await done(rig, "/apply", candidateYaml=candidate(*resources), **fields)


async def refused(
    rig: Rig, path: str, status: int, *, headers: Mapping[str, str] = NO_HEADERS, **fields: Any
) -> dict[str, Any]:
    """The error of something that does not."""
    answer = await post(rig, path, headers=headers, **fields)
    assert answer.status == status, answer.body.decode()
    error: dict[str, Any] = answer.error
    return error


async def generations(rig: Rig) -> list[dict[str, Any]]:
    """Newest first."""
    items: list[dict[str, Any]] = (await rig.ask("/generations", limit=1000)).json["items"]
    return items


def by_id(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The resources of a result by `Kind/name`."""
    return {one["id"].partition("/")[2].partition("/")[2]: one for one in result["resources"]}
