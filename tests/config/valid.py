"""Valid configurations: the examples, and a hypothesis strategy for JSON-able documents of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.config import valid6

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,8}[a-z0-9])?", fullmatch=True)
HOSTS = st.integers(0x0A000001, 0x0A00FFFF).map(lambda n: f"10.0.{n >> 8 & 255}.{(n & 127) + 1}")
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
GROUPS = st.from_regex(r"[a-z_][a-z0-9_-]{0,9}", fullmatch=True)
PERIODS = st.one_of(st.integers(1, 99_999).map(lambda n: f"{n}d"), st.integers(1, 9999).map(lambda n: f"{n}m"))
TELEMETRY = {
    "signals": st.sampled_from([["events"], ["metrics"], ["metrics", "events"]]),
    "queueSize": st.integers(100, 1_000_000),
    "headers": st.lists(st.fixed_dictionaries({"name": st.just("X-Token"), "secret": TEXT}), max_size=2),
    "caFile": st.just("/etc/ssl/collector.pem"),
}
SIZES = st.tuples(st.integers(1, 9999), st.sampled_from(["MiB", "GiB"])).map(lambda size: f"{size[0]}{size[1]}")
DURATIONS = st.integers(0, 60_000).map(lambda ms: f"{ms}ms")


def _some(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


OPTIONS = st.one_of(
    st.fixed_dictionaries({"code": st.just(77), "hex": st.binary(min_size=1, max_size=9).map(bytes.hex)}),
    st.fixed_dictionaries({"code": st.just(125), "text": TEXT}),
    st.fixed_dictionaries({"code": st.just(90), "secret": TEXT}),
)
CLIENTS = _some(
    {"interface": NAMES},
    {
        "hostname": TEXT,
        "requestedAddress": HOSTS,
        "classID": TEXT,
        "clientID": st.sampled_from(["0x0102", "01:02:03", "gateway"]),
        "clientIDType": st.sampled_from(["rfc4361", "mac"]),
        "useRoutes": st.booleans(),
        "useDNS": st.booleans(),
        "rapidCommit": st.booleans(),
        "offerWindow": DURATIONS,
        "conflictDetection": st.sampled_from(["probe", "parallel", "skip"]),
        "dscp": st.integers(0, 63),
        "vlanPriority": st.integers(0, 7),
        "requestOptions": st.lists(st.integers(1, 254), max_size=5, unique=True),
        "sendOptions": st.lists(OPTIONS, max_size=3, unique_by=lambda option: option["code"]),
        "minimumMTU": st.integers(68, 1500),
    },
)

SPANS = st.integers(1, 60_000).map(lambda ms: f"{ms}ms")
PATTERNS = st.one_of(
    _some({"operator": st.just("all_of"), "topics": st.just(["a", "b.*"])}, {"window": SPANS}),
    _some({"operator": st.just("any_of"), "topic": st.just("**.a")}, {"correlate_by": st.just("attributes.k")}),
    _some({"operator": st.just("sequence"), "topics": st.just(["a", "b"])}, {"strict": st.booleans()}),
    _some({"operator": st.just("window"), "topic": st.just("a"), "threshold": st.integers(1, 9)}, {"duration": SPANS}),
    _some({"operator": st.just("absence"), "trigger": st.just("a")}, {"expected": st.just("b"), "duration": SPANS}),
    _some({"operator": st.just("throttle"), "topic": st.just("a")}, {"interval": SPANS, "rate": st.integers(1, 9)}),
    _some({"operator": st.just("debounce"), "topic": st.just("a")}, {"quiet": SPANS}),
    _some({"operator": st.just("count"), "topic": st.just("a")}, {"allow_missing_correlation": st.booleans()}),
)
EMISSIONS = _some({"topic": st.just("home.x")}, {"attributes": st.just({"k": "${event.type} ${attributes.k}"})})


MATCHES = _some(
    {"in": st.lists(st.sampled_from(["Up", "Down"]), min_size=1, max_size=2)},
    {
        "exists": st.booleans(),
        "equals": st.just("Up"),
        "contains": TEXT,
        "status": st.sampled_from(["set", "unset", "unknown"]),
        "for": DURATIONS,
        "maxAge": DURATIONS,
    },
)


def _conditions(interface: str) -> st.SearchStrategy[dict[str, Any]]:
    """A `when`, or none, that looks at an interface."""
    keys = st.sampled_from([f"Interface/{interface}.phase", f"${{Interface/{interface}.status.phase}}"])
    state = st.dictionaries(keys, MATCHES, min_size=1).map(lambda state: {"state": state})
    nested = st.recursive(
        state,
        lambda inner: st.tuples(st.sampled_from(["all", "any"]), st.lists(inner, min_size=1, max_size=2)).map(
            lambda pair: {pair[0]: pair[1]}
        ),
        max_leaves=4,
    )
    return st.one_of(st.just({}), nested.map(lambda when: {"when": when}))


def _dependencies(client: str) -> st.SearchStrategy[dict[str, Any]]:
    resource = {"resource": f"DHCPv4Client/{client}"}
    asked: list[dict[str, Any]] = [{"phase": "Bound"}, {"field": "gateway", "notEmpty": True}, {"equals": "Idle"}]
    each = st.sampled_from([{**resource, **one, **more} for one in asked for more in ({}, {"optional": True})])
    return st.lists(each, max_size=3).map(lambda needed: {"dependsOn": needed} if needed else {})


def _derived(name: str) -> st.SearchStrategy[dict[str, Any]]:
    field = {"field": f"${{Interface/{name}.status.phase}}"}
    tests = st.sampled_from([{**field, "equals": "Up"}, {**field, "not_empty": True}])
    inputs = st.lists(
        st.one_of(tests, st.fixed_dictionaries({"any_of": st.lists(st.lists(tests, min_size=1), min_size=1)}))
    )
    when = st.sampled_from([{}, {"emitWhen": "any_true"}, {"retractWhen": "all_false", "emitInitial": True}])
    return st.builds(
        lambda inputs, when, hysteresis: {"topic": "home.y", "inputs": inputs, "hysteresis": hysteresis, **when},
        inputs.filter(bool),
        when,
        DURATIONS,
    )


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A document that `load` takes: its references lead somewhere, its networks do not overlap."""
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    resources = []
    for number, name in enumerate(names):
        link = draw(
            _some({"ifname": st.just(f"eth{number}")}, {"mtu": st.integers(576, 9216), "adminUp": st.booleans()})
        )
        elsewhere = draw(_conditions(names[0])) if number else {}
        resources.append(_resource("Interface", name, {**link, **elsewhere}))
        if draw(st.booleans()):
            client = {**draw(CLIENTS), "interface": name, "routeMetric": 100 + number, **draw(_conditions(name))}
            resources.append(_resource("DHCPv4Client", name, client))
            gateway = {"gatewayFrom": {"resource": f"DHCPv4Client/{name}", "field": "gateway"}}
            route = {"destination": f"172.16.{number}.0/24", **gateway, **draw(_dependencies(name))}
            resources.append(_resource("IPv4Route", name, route))
        address = {"interface": name, "address": f"192.168.{number}.1/24", "exclusive": draw(st.booleans())}
        resources.append(_resource("IPv4StaticAddress", name, {**address, **draw(_conditions(name))}))
        if draw(st.booleans()):
            resources.append(_resource("EventRule", name, {"pattern": draw(PATTERNS), "emit": draw(EMISSIONS)}))
            resources.append(_resource("DerivedEvent", name, draw(_derived(name))))
    if draw(st.booleans()):
        resources += [_resource(*one) for one in valid6.resources(draw, names)]
    if draw(st.booleans()):
        link = next(one for one in resources if one["kind"] == "Interface")
        link["spec"]["adminUp"] = True
        access = {"interfaces": [link["metadata"]["name"]], "allowSourceCIDRs": ["10.0.0.0/8", "fd00::/8"]}
        resources.append(_resource("ManagementAccess", "console", access | draw(_some({}, {"adminGroup": GROUPS}))))
    if draw(st.booleans()):
        kept = draw(_some({"retention": PERIODS}, {"maxSize": SIZES, "schedule": st.sampled_from(["", "daily"])}))
        resources.append({**_resource("LogRetention", "log", kept), "apiVersion": "system.routerd.net/v1alpha1"})
    if draw(st.booleans()):
        sent = {"endpoint": "https://collector.example:4318/otlp"} | draw(_some({}, TELEMETRY))
        resources.append({**_resource("Telemetry", "main", sent), "apiVersion": "observability.routerd.net/v1alpha1"})
    return {
        "apiVersion": "routerd.net/v1alpha1",
        "kind": "Router",
        "metadata": {"name": draw(NAMES)},
        "spec": {"resources": draw(st.permutations(resources))},
    }


def _resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "net.routerd.net/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
