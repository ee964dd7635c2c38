"""json and yaml are routerd's answers unchanged, jsonl is an object a line, name `Kind/name`: for every verb."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.routerctl.run import Inside, on_terminal
from tests.routerctl.server import PREFIX, Routerd, result

WHOLE = {
    "status": ("/status", {}),
    "get": ("/get", {"subject": ["resources"]}),
    "get dhcp4": ("/get", {"subject": ["DHCPv4Client"]}),
    "get Interface/wan": ("/get", {"subject": ["Interface/wan"]}),
    "get status": ("/get", {"subject": ["status"]}),
    "get controllers": ("/get", {"subject": ["controllers"]}),
    "get runtime": ("/get", {"subject": ["runtime"]}),
    "get events": ("/get", {"subject": ["events"]}),
    "get prefixes": ("/get", {"subject": ["prefixes"]}),
    "get ledger": ("/get", {"subject": ["ledger"]}),
    "describe Interface/wan": ("/describe", {"target": ["Interface/wan"]}),
    "events": ("/events", {"tail": ["50"]}),
    "events --since 2": ("/events", {"since": ["2"]}),
    "get generations": ("/generations", {}),
    "get consumers": ("/consumers", {}),
    "generations": ("/generations", {}),
    "generations 3": ("/generations/3", {}),
    "why RouterAdvertisement/lan": ("/why", {}),
}
"""Words -> what they ask."""


def asked(routerd: Routerd, words: str) -> Any:
    """What routerd itself answers."""
    path, query = WHOLE[words]
    told = routerd.answer("routerd-status.sock", "GET", PREFIX + path, query, None)
    assert not isinstance(told, bytes)
    return json.loads(json.dumps(told[1]))


@pytest.mark.parametrize("words", WHOLE)
def test_json_is_the_answer_unchanged(words: str, routerd: Routerd, ctl: Inside) -> None:
    done = ctl(*words.split(), "-o", "json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == asked(routerd, words)


@pytest.mark.parametrize("words", WHOLE)
def test_yaml_says_the_same(words: str, routerd: Routerd, ctl: Inside) -> None:
    done = ctl(*words.split(), "-o", "yaml")
    assert YAML(typ="safe", pure=True).load(io.StringIO(done.out)) == asked(routerd, words)


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("status", 1),
        ("get", 4),
        ("get dhcp4", 1),
        ("get status", 1),
        ("get controllers", 2),
        ("get runtime", 1),
        ("get events", 4),
        ("get ledger", 1),
        ("describe Interface/wan", 1),
        ("events", 4),
        ("version", 1),
        ("plan -f router.yaml", 1),
        ("apply -f router.yaml", 1),
        ("diff -f router.yaml", 1),
        ("generations", 3),
        ("why RouterAdvertisement/lan", 1),
        ("rules test -f rule.yaml", 1),
        ("doctor disk", 1),
        ("top -n 2 -d 100ms", 2),
        ("wait Interface/wan --for phase=Up", 1),
    ],
)
def test_jsonl_is_one_object_a_line(words: str, count: int, routerd: Routerd, ctl: Inside) -> None:
    lines = ctl(*words.split(), "-o", "jsonl").out.splitlines()
    assert [type(json.loads(line)) for line in lines] == [dict] * count
    assert all('": ' not in line for line in lines), "compact"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("status", "Status/routerd"),
        ("get", "Interface/wan Interface/lan DHCPv4Client/wan IPv4StaticAddress/lan"),
        ("get status", "Status/routerd"),
        ("get controllers", "Controller/address Controller/interface"),
        ("get runtime", "RuntimeStats/routerd"),
        ("get events", "Event/1 Event/2 Event/3 Event/4"),
        ("get ledger", "Generation/3"),
        ("get prefixes", "DHCPv6PrefixDelegation/wan-pd DHCPv6PrefixDelegation/wan-pd2"),
        ("describe if/wan", "Interface/wan"),
        ("events --tail 2", "Event/3 Event/4"),
        ("version", "Version/routerctl"),
        ("get generations", "Generation/3 Generation/2 Generation/1"),
        ("generations", "Generation/3 Generation/2 Generation/1"),
        ("generations 2", "Generation/2"),
        ("get consumers", "Consumer/alarm"),
        ("why RouterAdvertisement/lan", "RouterAdvertisement/lan"),
        ("apply -f router.yaml", "Generation/4"),
        ("diff -f router.yaml", "EgressRoutePolicy/ipv4"),
        ("confirm TOKEN", "Generation/4"),
        ("rules test -f rule.yaml", "Event/48077"),
        ("log-level info", "LogLevel/info"),
        ("explain", "Interface"),
        ("explain Interface.mtu", "Interface.mtu"),
        ("top", "Top/routerd"),
        ("wait if/wan --for phase=Up", "Interface/wan"),
        ("wait routerd --for ready", "Router/routerd"),
        ("renew dhcp4/wan", "DHCPv4Client/wan"),
    ],
)
def test_name_is_kind_and_name(words: str, names: str, routerd: Routerd, ctl: Inside) -> None:
    routerd.commands["renew"] = lambda *_: (200, result("renew", "renewed", succeeded="true"))
    routerd.overrides[f"{PREFIX}/generations/2"] = (200, {"kind": "Generation", "generation": {"generation": 2}})
    assert ctl(*words.split(), "-o", "name").out.split() == names.split()


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("get -o jsonpath={.items[*].name}", "wan lan wan lan"),
        ("get -o jsonpath=.items[0].spec", '{"ifname":"wan0"}'),
        ("get Interface/wan -o jsonpath=.items[0].status.mtu", "1500"),
        ("get Interface/wan -o jsonpath=.items[7].status", ""),
        ("get Interface/wan -o jsonpath=.items[0].kind.x", ""),
        ("status -o jsonpath=.status.phase", "Degraded"),
        ("events --tail 1 -o jsonpath=.events[*].attributes['address']", "192.0.2.10"),
    ],
)
def test_jsonpath_is_the_value_alone(words: str, shown: str, routerd: Routerd, ctl: Inside) -> None:
    assert ctl(*words.split()).out.split() == shown.split()


def test_custom_columns(routerd: Routerd, ctl: Inside) -> None:
    columns = "NAME:.name,ADDR:.status.currentAddress,DNS:.status.dnsServers[*]"
    assert [line.split() for line in ctl("get", "-o", f"custom-columns={columns}").out.splitlines()] == [
        ["NAME", "ADDR", "DNS"],
        ["wan", "-", "-"],
        ["lan", "-", "-"],
        ["wan", "192.0.2.10", "192.0.2.53,", "192.0.2.54"],
        ["lan", "-", "-"],
    ]


def test_wide_is_a_table_that_is_not_cut(routerd: Routerd) -> None:
    routerd.event("routerd.test", "word " * 60)
    assert "word " * 59 in on_terminal(routerd.run_dir, "events", "-o", "wide", columns=80).out


def test_commands_answer_in_json(routerd: Routerd, ctl: Inside) -> None:
    told = result("renew", "no server answered", eventId="7", succeeded="false")
    routerd.commands["renew"] = lambda *_: (200, told)
    done = ctl("renew", "dhcp4/wan", "-o", "json")
    assert done.code == 1, "how it ended is said, and it failed all the same"
    assert json.loads(done.out) == told


def test_json_of_events_ends_where_it_should(routerd: Routerd, ctl: Inside) -> None:
    done = ctl("events", "--since", "3h", "--until", "1h", "-o", "json")
    assert [event["id"] for event in json.loads(done.out)["events"]] == [1, 2]


def test_a_problem_of_several_lines_is_several_rows(routerd: Routerd, ctl: Inside) -> None:
    routerd.checks = [{"name": "configuration", "status": "fail", "detail": "a.yaml:3:1: no\na.yaml:9:2: nor that"}]
    *_, first, second = ctl("status").out.splitlines()
    assert first.split() == ["configuration", "Failed", "-", "a.yaml:3:1:", "no"]
    assert second.split() == ["configuration", "Failed", "-", "a.yaml:9:2:", "nor", "that"]


def test_options_may_stand_before_the_verb(routerd: Routerd, ctl: Inside) -> None:
    assert ctl("-o", "name", "--color", "never", "get", "if/wan").out == "Interface/wan\n"


def test_get_asks_for_all_resources(routerd: Routerd, ctl: Inside) -> None:
    for number in range(150):
        routerd.resource("IPv4Route", f"r{number}", {"destination": "198.51.100.0/24"}, None)
    assert len(ctl("get", "ipv4route", "-o", "name").out.splitlines()) == 150
    assert len(ctl("get", "ipv4route", "-o", "name", "--limit", "3").out.splitlines()) == 3


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "name"])
def test_only_yaml_loads_its_writer(form: str, routerd: Routerd, ctl: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ruamel.yaml", None)
    assert ctl("get", "-o", form).code == 0
    done = ctl("get", "-o", "yaml")
    assert (done.code, done.err) == (1, "error: -o yaml needs the package ruamel.yaml\nhelp: use -o json\n")


def test_a_rule_is_not_a_row_of_json(routerd: Routerd, ctl: Inside) -> None:
    spec = {
        "pattern": {"operator": "window", "topics": ["a.b"], "window": "30m"},
        "emit": {"attributes": {"wan": "x"}, "topic": "home.wan.flapping"},
    }
    rule = {"kind": "EventRule", "name": "flaps", "spec": spec, "status": {"phase": "Active"}}
    odd = {"kind": "EventRule", "name": "odd", "spec": {"a": [{"b": {"c": 1}}], "b": []}, "status": {}}
    routerd.overrides[f"{PREFIX}/get"] = (200, {"kind": "GetResult", "items": [rule, odd]})
    shown = ctl("get", "EventRule").out
    assert "pattern=window emit=home.wan.flapping" in shown
    assert "a={...} b=-" in shown
