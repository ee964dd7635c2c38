"""What routerd answers to the verbs that change and explain, in the shapes of the contract."""

from __future__ import annotations

import time
from typing import Any

from tests.routerctl.server import CONTROL, NET, Answer, Routerd, at

TOKEN = "6f1c2d3e4a5b"
SOON = 11 * 60 + 30.0
"""Seconds that read as 11 minutes for half a minute."""
EGRESS, NAT = "net.routerd.net/v1alpha1/EgressRoutePolicy/ipv4", "net.routerd.net/v1alpha1/NAT44Rule/lan"

FAULT = """\
error[schema.duration]: HealthCheck/internet spec.interval: "30x" is not a duration
  --> router.yaml:8:17
 8 |       interval: 30x   # bad
   |                 ^^^ expected number + ms|s|m|h
help: did you mean 30s?"""
"""As the server writes it (routerd.config.errors.render)."""

WEIGHT = {
    "resource": "EgressRoutePolicy/ipv4",
    "apiVersion": NET,
    "change": "changed",
    "fields": [{"path": "spec.candidates[0].weight", "before": 90, "after": 40}],
}


def plan() -> dict[str, Any]:
    """Of a weight that becomes less: another line is chosen, and the masquerade with it."""
    return {
        "generation": 3,
        "timestamp": at(0),
        "phase": "Healthy",
        "changed": True,
        "changes": [WEIGHT],
        "resources": [
            {"id": EGRESS, "phase": "Healthy", "plan": ["selected fibre -> lte"]},
            {"id": NAT, "phase": "Healthy", "plan": ["masquerade fibre -> lte"]},
        ],
        "warnings": ["your session 10.0.0.5 -> 192.0.2.1:22 uses fibre and will be cut"],
    }


def applied(**more: Any) -> dict[str, Any]:
    """The same, done."""
    return {
        "generation": 4,
        "timestamp": at(0),
        "phase": "Healthy",
        "changed": True,
        "changes": [WEIGHT],
        "restarts": ["healthcheck/internet"],
        "resources": [
            {"id": EGRESS, "phase": "Healthy", "outcome": "changed"},
            {"id": NAT, "phase": "Healthy", "outcome": "changed"},
            {"id": "net.routerd.net/v1alpha1/Interface/wan", "phase": "Healthy", "outcome": "unchanged"},
        ],
        "eventId": 48300,
        **more,
    }


def unchanged() -> dict[str, Any]:
    """Nothing to do."""
    return {"generation": 3, "timestamp": at(0), "phase": "Healthy", "changed": False, "resources": []}


def pending(seconds: float = SOON, **more: Any) -> dict[str, Any]:
    """A change that waits to be confirmed."""
    return {"generation": 4, "previous": 3, "confirmBy": at(seconds), "actor": "uid=0 pid=7 routerctl", **more}


def answered(kind: str, result: dict[str, Any], **more: Any) -> Answer:
    """A result in its envelope."""
    return 200, {"apiVersion": CONTROL, "kind": kind, "result": result, **more}


def faulty(count: int = 1) -> tuple[int, Any]:
    """A configuration is not good."""
    fault = {
        "message": '"30x" is not a duration',
        "code": "schema.duration",
        "label": "HealthCheck/internet",
        "field": "spec.interval",
        "line": 8,
        "column": 17,
        "hint": "did you mean 30s?",
        "excerpt": FAULT,
    }
    first = {key: fault[key] for key in ("line", "column", "hint")}
    message = 'bad request: "30x" is not a duration'
    detail = {"message": message, "code": "schema.duration", **first, "errors": [fault] * count}
    return 400, {"apiVersion": CONTROL, "kind": "Error", "error": detail, "requestId": "01J8TEST"}


def generations(**more: Any) -> dict[str, Any]:
    """Three of them."""
    items = [
        {
            "generation": 3,
            "startedAt": at(-7520),
            "finishedAt": at(-7519),
            "phase": "Healthy",
            "hasYaml": True,
            "actor": "uid=0 pid=812 /usr/bin/routerctl",
            "resourceCount": 4,
            "added": 1,
            "changed": 2,
        },
        {
            "generation": 2,
            "startedAt": at(-90000),
            "phase": "Drifted",
            "hasYaml": True,
            "actor": "routerd",
            "removed": 1,
        },
        {"generation": 1, "startedAt": at(-900000), "phase": "Healthy", "hasYaml": False},
    ]
    return {"apiVersion": CONTROL, "kind": "Generations", "current": 3, "items": items, **more}


def today(clock: str) -> str:
    """That time of this day, so that no date stands beside it."""
    return f"{time.strftime('%Y-%m-%d', time.gmtime())}T{clock}Z"


def stored(number: int, clock: str, about: str, reason: str, message: str) -> dict[str, Any]:
    """An event that happened today."""
    kind, _, name = about.partition("/")
    topic = f"routerd.test.{reason.lower()}"
    moment = today(clock)
    told = {"id": number, "type": topic, "topic": topic, "severity": "warning", "createdAt": moment, "time": moment}
    return {
        **told,
        "actor": "routerd",
        "reason": reason,
        "message": message,
        "resourceKind": kind,
        "resourceName": name,
    }


def why() -> dict[str, Any]:
    """The carrier goes, no answer to the Rebind, the prefix is lost, the LAN's announcement with it."""
    root = {
        "event": stored(48077, "02:04:58", "Interface/wan", "carrier lost", "netlink RTM_NEWLINK eth0 lower_up->down"),
        "root": True,
        "causes": [],
    }
    rebind = {
        "event": stored(48190, "02:13:00", "DHCPv6PrefixDelegation/wan-pd", "Rebind", "Rebind sent 5 times, no answer"),
        "root": False,
        "times": 5,
        "firstId": 48102,
        "lastId": 48190,
        "from": today("02:05:02"),
        "to": today("02:13:00"),
        "causes": [],
    }
    words = "valid lifetime ended (3600 s after the Reply of 01:13:41Z)"
    chain = {
        "event": stored(48211, "02:13:41", "DHCPv6PrefixDelegation/wan-pd", "Lost", words),
        "root": False,
        "causes": [rebind, root],
    }
    changed = stored(48212, "02:13:41", "RouterAdvertisement/lan", "StatusChanged", "Degraded")
    changed |= dict.fromkeys(("topic", "type"), "routerd.resource.status.changed")
    return {
        "apiVersion": CONTROL,
        "kind": "Why",
        "target": "RouterAdvertisement/lan",
        "phase": "Degraded",
        "since": at(-1201),
        "reason": "PrefixWithdrawn",
        "chain": {"event": changed, "root": False, "causes": [chain]},
        "suppressed": ["HealthCheck/internet6", "DNSZone/lan AAAA", "EgressRoutePolicy/ipv6"],
        "next": "link is up again since 02:06:10Z but no Reply: try `routerctl renew DHCPv6PrefixDelegation/wan-pd`",
    }


def rule_test() -> dict[str, Any]:
    """A rule that would have fired once."""
    fired = {
        "eventId": 48077,
        "time": today("02:04:58"),
        "topic": "site.wan.flaps",
        "correlation": "wan",
        "inputs": [48001, 48077],
        "attributes": {"count": "3"},
    }
    told = {"rule": "EventRule/flaps", "from": today("00:00:00"), "to": today("23:59:59"), "events": 1234}
    return {"apiVersion": CONTROL, "kind": "RuleTest", **told, "fired": [fired], "warnings": []}


def schema() -> dict[str, Any]:
    """A little of the configuration's schema."""
    shape = {
        "type": "object",
        "description": "A network interface of this host, under a name of its own. More of it.",
        "properties": {
            "kind": {"const": "Interface"},
            "metadata": {"$ref": "#/$defs/Metadata"},
            "spec": {"$ref": "#/$defs/Interface"},
        },
        "required": ["kind", "spec"],
    }
    interface = {
        "type": "object",
        "properties": {
            "ifname": {"type": "string", "description": "The name that the kernel gives it.", "examples": ["eth0"]},
            "adminUp": {"type": "boolean", "description": "Set it up.", "default": True},
            "mtu": {"type": "integer", "minimum": 576, "maximum": 9216, "description": "MTU in octets."},
            "owner": {"enum": ["routerd", "external"], "type": "string", "description": "Who.", "default": "routerd"},
            "tags": {"type": "array", "items": {"type": "string"}, "description": "Free words."},
            "from": {"type": "array", "items": {"anyOf": [{"format": "ipv4", "type": "string"}, {"type": "integer"}]}},
        },
        "required": ["ifname"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {
            "RouterSpec": {"properties": {"resources": {"type": "array", "items": {"oneOf": [shape]}}}},
            "Interface": interface,
            "Metadata": {"type": "object", "properties": {"name": {"type": "string", "description": "Its name."}}},
        },
    }


def knowing(routerd: Routerd) -> Routerd:
    """It answers all of them, as one who may do everything is answered."""
    prefix = f"/api/{CONTROL}"
    routerd.overrides |= {
        f"{prefix}/why": (200, why()),
        f"{prefix}/generations": (200, generations()),
        f"{prefix}/generations/3": (
            200,
            {
                "apiVersion": CONTROL,
                "kind": "Generation",
                "generation": generations()["items"][0],
                "changes": [WEIGHT],
                "yaml": "apiVersion: routerd.net/v1alpha1\nkind: Router\n",
            },
        ),
        f"{prefix}/consumers": (
            200,
            {
                "apiVersion": CONTROL,
                "kind": "Consumers",
                "items": [{"name": "alarm", "cursor": "e1-3", "lag": 1, "updatedAt": at(-1201)}],
            },
        ),
        "/schema.json": (200, schema()),
    }
    routerd.posts |= {
        "/plan": lambda _: answered("PlanResult", plan()),
        "/apply": _apply,
        "/validate": lambda body: (200, {"apiVersion": CONTROL, "kind": "ValidateResult", "valid": True}),
        "/delete": lambda body: answered("DeleteResult", applied(), deleted=[NAT]),
        "/rollback": lambda body: answered("RollbackResult", applied()),
        "/confirm": lambda body: (200, _confirmed(body)),
        "/rules/test": lambda body: (200, rule_test()),
        "/log-level": lambda body: (200, _level(body)),
    }
    return routerd


def _apply(body: dict[str, Any]) -> Answer:
    if body.get("dryRun"):
        return answered("ApplyResult", plan())
    waits = {"pending": pending(token=TOKEN)} if "confirmWithin" in body else {}
    return answered("ApplyResult", applied(**waits))


def _confirmed(body: dict[str, Any]) -> dict[str, Any]:
    ends = {"confirmed": False, "confirmBy": at(SOON)} if "extend" in body else {"confirmed": True}
    return {"apiVersion": CONTROL, "kind": "ConfirmResult", "generation": 4, **ends}


def _level(body: dict[str, Any]) -> dict[str, Any]:
    until = {"until": at(SOON)} if body["level"] == "debug" else {}
    return {"apiVersion": CONTROL, "kind": "LogLevelResult", "level": body["level"], **until}
