"""`events`: what was asked for and no more, and a follower that loses nothing without saying so."""

from __future__ import annotations

import json

import pytest

from tests.routerctl.run import Inside, Program, running
from tests.routerctl.server import PREFIX, Routerd, error


def ids(out: str) -> list[int]:
    return [json.loads(line)["id"] for line in out.splitlines()]


def next_id(program: Program) -> int:
    number: int = json.loads(program.line())["id"]
    return number


@pytest.fixture
def many(routerd: Routerd) -> Routerd:
    """2600 events, 10 seconds apart, the last one just now; the first hundred are gone, and some ids are missing."""
    routerd.events.clear()
    for number in range(1, 2601):
        routerd.event(
            "routerd.test.even" if number % 2 == 0 else "routerd.test.odd",
            f"no. {number}",
            age=(2600 - number) * 10 + 5,
        )
    routerd.prune(100)
    routerd.events = [event for event in routerd.events if not 1000 < event["id"] <= 1300]
    return routerd


@pytest.mark.parametrize(
    ("words", "first", "last", "count"),
    [
        ("", 2551, 2600, 50),
        ("--tail 3", 2598, 2600, 3),
        ("--limit 3", 2598, 2600, 3),
        ("--tail 0", 0, 0, 0),
        ("--limit 0", 0, 0, 0),
        ("--tail 5000", 1601, 2600, 1000),
        ("--since 2590", 2591, 2600, 10),
        ("--since 100", 101, 2600, 2200),
        ("--since 0", 101, 2600, 2200),
        ("--since 100 --limit 1500", 101, 1900, 1500),
        ("--since 100 --limit 7", 101, 107, 7),
        ("--since 60s", 2595, 2600, 6),
        ("--since 3h", 1521, 2600, 1080),
        ("--since 4h", 1301, 2600, 1300),
        ("--since 30d", 101, 2600, 2200),
        ("--since 2h --until 1h", 1881, 2240, 360),
        ("--until 1h --since 2200", 2201, 2240, 40),
        ("--since 60s --topic routerd.*.even", 2596, 2600, 3),
        ("--topic routerd.test.odd --topic *.even --tail 2", 2599, 2600, 2),
    ],
)
def test_what_is_asked_for(words: str, first: int, last: int, count: int, many: Routerd, ctl: Inside) -> None:
    found = ids(ctl("events", *words.split(), "-o", "jsonl").out)
    assert len(found) == count
    assert found[:1] + found[-1:] == ([first, last] if count else [])
    assert found == sorted(set(found))


def test_finding_a_time_costs_little(many: Routerd, ctl: Inside) -> None:
    ctl("events", "--since", "3h")
    assert len(many.requests) < 20


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--topic routerd.nothing", "no events match; the log reaches from event 1 ("),
        ("--since 1ms", "no events match; the log reaches from event 1 ("),
    ],
)
def test_an_empty_answer_tells_its_horizon(words: str, said: str, routerd: Routerd, ctl: Inside) -> None:
    done = ctl("events", *words.split())
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith(said)
    assert done.err.endswith(") to event 4\n")


def test_an_empty_log_says_so(routerd: Routerd, ctl: Inside) -> None:
    routerd.events.clear()
    assert ctl("events").err == "no events: the log is empty\n"
    assert ctl("events", "--since", "1h").err == "no events: the log is empty\n"
    assert ctl("events", "-q").err == ""


def test_filters_reach_routerd_in_its_own_words(routerd: Routerd, ctl: Inside) -> None:
    ctl("events", "--resource", "if/wan", "--severity", "warning", "--topic", "a.**", "--topic", "b c&d")
    assert routerd.requests[0][3] == {
        "tail": ["50"],
        "resource": ["Interface/wan"],
        "severity": ["warning"],
        "topic": ["a.**", "b c&d"],
    }


# Following


def test_follow_begins_with_the_last_and_goes_on(routerd: Routerd) -> None:
    with running(routerd.run_dir, "events", "-f", "--tail", "2", "-o", "jsonl") as program:
        assert [next_id(program), next_id(program)] == [3, 4]
        routerd.event("routerd.test")
        routerd.event("routerd.test")
        assert [next_id(program), next_id(program)] == [5, 6]


def test_follow_from_a_time_on(routerd: Routerd) -> None:
    with running(routerd.run_dir, "events", "-f", "--since", "23m", "-o", "jsonl") as program:
        assert next_id(program) == 4
        routerd.event("routerd.test")
        assert next_id(program) == 5


def test_follow_ends_at_its_limit(routerd: Routerd) -> None:
    with running(routerd.run_dir, "events", "-f", "--tail", "0", "--limit", "2", "-o", "jsonl") as program:
        routerd.await_poll()
        for _ in range(3):
            routerd.event("routerd.test")
        assert [next_id(program), next_id(program)] == [5, 6]
        assert program.process.wait(20) == 0


def test_follow_prints_tables_with_absolute_times(routerd: Routerd) -> None:
    with running(routerd.run_dir, "events", "-f", "--tail", "1") as program:
        assert program.line().split()[:3] == ["ID", "TIME", "SEVERITY"]
        routerd.event("routerd.test.longer.than.all.before.it", "hello")
        assert program.line().split()[1].endswith("Z")
        assert program.line().split()[0] == "5"


def test_follow_over_a_restart(routerd: Routerd) -> None:
    """Nothing is shown twice, nothing is missed; and it is said that routerd was away."""
    with running(routerd.run_dir, "events", "-f", "--tail", "1", "-o", "jsonl") as program:
        assert next_id(program) == 4
        routerd.stop()
        assert program.note().startswith("routerd is away (")
        routerd.event("routerd.test")
        routerd.event("routerd.test")
        routerd.start()
        assert [next_id(program), next_id(program)] == [5, 6]
        assert program.note() == "routerd is back"
        routerd.event("routerd.test")
        assert next_id(program) == 7


def test_follow_into_a_rebuilt_log(routerd: Routerd) -> None:
    with running(routerd.run_dir, "events", "-f", "--tail", "1", "-o", "jsonl") as program:
        assert next_id(program) == 4
        routerd.stop()
        routerd.rebuild("e2")
        routerd.event("routerd.test")
        routerd.start()
        assert next_id(program) == 1
        assert program.notes_until("going on with") == (
            "this cursor is of another event log; going on with the oldest event there is"
        )
        assert program.note() == "the event log was rebuilt: the ids of events begin anew"


def test_follow_past_what_retention_took(routerd: Routerd) -> None:
    with running(routerd.run_dir, "events", "-f", "--tail", "1", "-o", "jsonl") as program:
        assert next_id(program) == 4
        routerd.await_poll()
        with routerd.grown:  # all of it before the poll of then is broken off
            routerd.stop()
            for _ in range(10):
                routerd.event("routerd.test")
            routerd.prune(12)
            routerd.start()
        assert [next_id(program), next_id(program)] == [13, 14]
        assert program.notes_until("going on with")


def test_lost_events_are_told(routerd: Routerd) -> None:
    with running(routerd.run_dir, "events", "-f", "--tail", "1", "-o", "jsonl") as program:
        assert next_id(program) == 4
        routerd.lost = 17
        routerd.event("routerd.test")
        assert next_id(program) == 5
        assert program.note() == "17 events are lost: they were removed before they were read here"


def test_a_follower_that_is_denied_ends(routerd: Routerd) -> None:
    with running(routerd.run_dir, "events", "-f", "--tail", "1", "-o", "jsonl") as program:
        assert next_id(program) == 4
        routerd.await_poll()
        routerd.overrides[f"{PREFIX}/events"] = error(403, "no longer")
        routerd.event("routerd.test")
        assert next_id(program) == 5, "the long poll that was under way still answers"
        assert program.process.wait(20) == 5


# Watching


def test_watch_lists_and_goes_on(routerd: Routerd) -> None:
    with running(routerd.run_dir, "get", "dhcp4", "-w") as program:
        assert program.line().startswith("KIND ")
        assert " Bound 192.0.2.10/24" in program.line()
        routerd.change("Interface/lan", "routerd.interface.up", phase="Up")
        routerd.change("DHCPv4Client/wan", "routerd.dhcpv4.client.lease.expired", phase="Expired")
        assert " Expired " in program.line(), "and nothing of the interface, which was not asked for"
        routerd.remove("DHCPv4Client/wan")
        assert program.line().split()[:4] == ["DHCPv4Client", "wan", "-", "Deleted"]


def test_watch_only_leaves_out_the_list(routerd: Routerd) -> None:
    with running(routerd.run_dir, "get", "--watch-only", "-o", "jsonl") as program:
        routerd.await_poll()
        routerd.change("Interface/lan", "routerd.interface.up", phase="Up")
        assert json.loads(program.line())["status"]["phase"] == "Up"


def test_watch_over_a_restart(routerd: Routerd) -> None:
    with running(routerd.run_dir, "get", "Interface/lan", "-w", "-o", "jsonl") as program:
        assert json.loads(program.line())["status"]["phase"] == "Down"
        routerd.stop()
        assert program.note().startswith("routerd is away (")
        routerd.change("Interface/lan", "routerd.interface.up", phase="Up")
        routerd.start()
        assert json.loads(program.line())["status"]["phase"] == "Up"


def test_watch_of_the_status_shows_differences_only(routerd: Routerd) -> None:
    with running(routerd.run_dir, "get", "status", "-w") as program:
        assert program.line() == "STATUS Degraded generation=3 resources=4"
        routerd.event("routerd.test")
        routerd.status["phase"] = "Healthy"
        routerd.event("routerd.test")
        assert program.line() == "STATUS Healthy generation=3 resources=4"


# Durable consumers


@pytest.fixture
def acknowledged(routerd: Routerd) -> list[str]:
    """The cursors up to which something was acknowledged."""
    cursors: list[str] = []

    def ack(body: dict[str, str]) -> tuple[int, dict[str, str]]:
        assert body["consumer"] == "alarm"
        cursors.append(body["cursor"])
        return 200, {"kind": "AckResult"}

    routerd.posts["/events/ack"] = ack
    return cursors


@pytest.mark.parametrize(
    ("words", "cursors"),
    [
        ("", ["e1-4"]),
        ("-o json", ["e1-4"]),
        ("--limit 2", ["e1-2"]),
        ("--until 1h", []),
        ("--until 1h -o json", []),
        ("--topic nothing.at.all", []),
    ],
)
def test_what_is_printed_is_acknowledged(
    words: str, cursors: list[str], routerd: Routerd, ctl: Inside, acknowledged: list[str]
) -> None:
    """What was cut off comes again with the rest of its page."""
    assert ctl("events", "--consumer", "alarm", *words.split()).code == 0
    assert acknowledged == cursors
    assert routerd.requests[0][3]["consumer"] == ["alarm"]


def test_a_follower_acknowledges_as_it_goes(routerd: Routerd, acknowledged: list[str]) -> None:
    with running(routerd.run_dir, "events", "-f", "--consumer", "alarm", "-o", "name") as program:
        for number in range(1, 5):
            assert program.line() == f"Event/{number}"
        routerd.await_poll()
        routerd.event("routerd.test")
        assert program.line() == "Event/5"
        routerd.await_poll()
        assert acknowledged == ["e1-4", "e1-5"]


def test_what_cannot_be_acknowledged_is_told(routerd: Routerd, ctl: Inside) -> None:
    routerd.posts["/events/ack"] = lambda _: error(409, "there are 64 consumers already")
    done = ctl("events", "--consumer", "alarm")
    assert (done.code, done.err.splitlines()[0]) == (4, "error[test.409]: there are 64 consumers already")


def test_2_what_routerd_cannot_read_of_the_command_line(routerd: Routerd, ctl: Inside) -> None:
    routerd.overrides[f"{PREFIX}/events"] = error(400, "consumer is not a name", field="consumer")
    done = ctl("events", "--consumer", "Alarm!")
    assert (done.code, done.err.splitlines()[0]) == (2, "error[test.400]: consumer is not a name")


def test_2_backwards(ctl: Inside) -> None:
    assert ctl("events", "--until", "1m", "--since", "1s").err == (
        "error: --until 1m is before --since 1s\nhelp: both are times: 10m is ten minutes ago\n"
    )


def test_a_cursor_is_no_time(routerd: Routerd, ctl: Inside) -> None:
    assert ctl("events", "--since", f"{routerd.epoch}-1", "-o", "name").code == 0
    assert next(request[3]["since"] for request in routerd.requests if "since" in request[3]) == ["e1-1"]


def test_rules_are_tested_since_an_event(routerd: Routerd, ctl: Inside) -> None:
    before = routerd.event("routerd.test", age=700)
    routerd.event("routerd.test", age=600)
    assert ctl("rules", "test", "-f", "rule.yaml", "--since", str(before)).code == 0
    since = next(body["since"] for _, method, _, _, body in routerd.requests if method == "POST")
    assert 599_000 <= int(since.removesuffix("ms")) <= 660_000
