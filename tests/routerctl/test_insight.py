"""What explains: why, explain, doctor, top."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
from typing import Any

import pytest

from tests.routerctl.answers import SOON, pending
from tests.routerctl.run import COMMAND, PATIENCE, Inside, environment, on_terminal, running
from tests.routerctl.server import PREFIX, Routerd, at, error

# Why


def test_why_without_a_cause_in_the_log(routerd: Routerd, ctl: Inside) -> None:
    told = {"target": "Interface/wan", "phase": "Down", "message": "no carrier", "suppressed": []}
    routerd.overrides[f"{PREFIX}/why"] = (200, told)
    assert ctl("why", "if/wan").out == "Interface/wan  Down\nno carrier; no cause of it is in the event log\n"


def test_why_tells_what_it_cannot_draw(routerd: Routerd, ctl: Inside) -> None:
    twice = {"event": {"id": 3, "reason": "Twice"}, "again": True, "causes": []}
    old = {"event": {"id": 4, "reason": "Old"}, "missing": 2, "causes": [twice]}
    routerd.overrides[f"{PREFIX}/why"] = (200, {"target": "Interface/wan", "phase": "Down", "chain": old})
    assert [line.split("  -")[0].rstrip() for line in ctl("why", "if/wan").out.splitlines()[1:]] == [
        "`- Old",
        "   2 of its causes are not in the log any more",
        "   `- Twice",
        "      what led to it stands above",
    ]


@pytest.mark.parametrize(
    ("last", "told"), [("02:05:59", "1970-01-01T02:05"), ("02:06:00", "1970-01-01T02:05-1970-01-01T02:06")]
)
def test_why_tells_of_several_alike_from_when_to_when(last: str, told: str, routerd: Routerd, ctl: Inside) -> None:
    alike = {"times": 2, "firstId": 4, "lastId": 9, "from": "1970-01-01T02:05:01Z", "to": f"1970-01-01T{last}Z"}
    chain = {**alike, "event": {"id": 9, "message": "REBIND to all servers"}, "causes": []}
    routerd.overrides[f"{PREFIX}/why"] = (200, {"target": "Interface/wan", "phase": "Down", "chain": chain})
    assert ctl("why", "if/wan").out.splitlines()[1] == f"`- REBIND to all servers (2 times)  {told}  ev 4..9"


def test_why_of_what_is_not_there(routerd: Routerd, ctl: Inside) -> None:
    routerd.overrides[f"{PREFIX}/why"] = error(404, "there is no Interface/wam")
    done = ctl("why", "if/wam")
    assert (done.code, done.err.splitlines()[1]) == (3, "help: did you mean Interface/wan?")


def test_explain_says_where_else_to_look(routerd: Routerd, ctl: Inside) -> None:
    routerd.stop()
    assert "docs/configuration.md has every kind and field" in ctl("explain", "Interface").err


def test_explain_of_a_kind_that_is_for_later(routerd: Routerd, ctl: Inside) -> None:
    done = ctl("explain", "nat44")
    words = "error: the kind NAT44Rule is known, and this routerd does not support it"
    assert (done.code, done.err.splitlines()[0]) == (3, words)
    assert "did you mean" not in done.err


# Doctor, top


def test_doctor_fails_with_8(routerd: Routerd, ctl: Inside) -> None:
    routerd.controllers[0] |= {"currentError": True, "lastError": "it is broken"}
    routerd.checks[1] = {"name": "event-log", "status": "fail", "detail": "disk full"}
    routerd.status |= {"pendingError": "no such file", "waitingGeneration": 4, "pendingCommit": pending()}
    routerd.change("DHCPv4Client/wan", "routerd.test", phase="Acquiring", message="no offer", currentAddress=None)
    routerd.event("routerd.test", "boom", severity="error")
    done = ctl("doctor")
    assert done.code == 8
    assert done.out.startswith("DOCTOR fail pass=")
    lines = {tuple(line.split()[:3]) for line in done.out.splitlines()}
    assert {
        ("wan", "fail", "DHCPv4Client/wan"),
        ("config", "fail", "file"),
        ("config", "warn", "loaded"),
        ("reconcile", "fail", "controller"),
        ("mgmt", "warn", "pending"),
        ("disk", "fail", "event-log"),
        ("events", "warn", "errors"),
    } <= lines
    assert ctl("doctor", "runtime").code == 0
    assert ctl("doctor", "disk", "-o", "jsonpath=.summary.overall").out == "fail\n"


@pytest.mark.parametrize(
    ("status", "word", "code"),
    [
        ({"phase": "Refreshing"}, "warn", 0),
        ({"phase": "Pending", "reason": "WhenFalse"}, "skip", 0),
        ({"phase": "Acquiring", "currentAddress": None}, "fail", 8),
        ({"phase": "Bound"}, "pass", 0),
    ],
)
def test_a_wan_that_works_still_is_no_failure(
    status: dict[str, Any], word: str, code: int, routerd: Routerd, ctl: Inside
) -> None:
    routerd.change("DHCPv4Client/wan", "routerd.test", **status)
    done = ctl("doctor", "wan", "-o", "jsonl")
    told = [json.loads(line) for line in done.out.splitlines()]
    assert (done.code, [one["status"] for one in told if one["name"] == "DHCPv4Client/wan"]) == (code, [word])
    assert all(("remedy" in one) == (one["status"] in ("warn", "fail")) for one in told)


def test_top_draws_until_it_is_interrupted(routerd: Routerd) -> None:
    """On the other screen of the terminal, which is left in any case."""
    shown = on_terminal(routerd.run_dir, "top", "-n", "2", "-d", "100ms", LINES="24")
    assert shown.code == 0
    assert shown.out.startswith("\x1b[?1049h\x1b[?25l\x1b[H")
    assert shown.out.endswith("\x1b[J\x1b[?25h\x1b[?1049l")
    assert shown.out.count("CONTROLLER") == 2
    assert "/s" in shown.out.rpartition("\x1b[H")[2], "rates, from the second frame on"


def test_ctrl_c_is_how_one_leaves_it(routerd: Routerd) -> None:
    master, slave = pty.openpty()
    command = [*COMMAND, "top", "-d", "100ms"]
    process = subprocess.Popen(command, env=environment(routerd.run_dir), stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    with process, contextlib.closing(os.fdopen(master, "rb", buffering=0)) as screen:
        shown = b""
        while shown.count(b"CONTROLLER") < 3:
            assert select.select([screen], (), (), PATIENCE)[0], shown
            shown += screen.read(65536)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # Linux: the other side is closed.
            while data := screen.read(65536):
                shown += data
    assert (process.returncode, shown.endswith(b"\x1b[?25h\x1b[?1049l")) == (0, True)


def test_top_goes_on_while_routerd_is_away(routerd: Routerd) -> None:
    with running(routerd.run_dir, "top", "-n", "50", "-d", "100ms", "--color", "never") as program:
        while not program.line().startswith("RESOURCE"):
            pass
        routerd.stop()
        while not program.line().startswith("routerd is away: "):
            pass
        program.process.send_signal(signal.SIGINT)
        assert program.process.wait(20) == 130


def test_what_a_provider_gives_of_ipv6(routerd: Routerd, ctl: Inside) -> None:
    """It fits a terminal of 100 columns, but for what says why."""
    held = {"phase": "Bound", "renewAt": at(SOON), "validUntil": at(60 * SOON)}
    routerd.resource("DHCPv6PrefixDelegation", "wan-pd", {}, {**held, "currentPrefix": "2001:db8:4000::/56"})
    routerd.resource("DHCPv6Address", "wan-na", {}, {"phase": "Acquiring", "message": "5 Solicits were not answered"})
    heard = {"phase": "Bound", "addresses": ["2001:db8:ff:0:5b77:17bb:97d3:2208/64"], "defaultGateway": "fe80::1"}
    routerd.resource("IPv6RAAddress", "wan", {}, heard)
    routerd.resource("DHCPv6Information", "wan", {}, {"phase": "Bound"})
    cut = {**held, "reason": "NoCarrier", "currentPrefix": "2001:db8:8000::/56"}
    routerd.resource("DHCPv6PrefixDelegation", "cut", {}, cut)
    section = ctl("status").out.split("\n\nWAN6")[1].split("\n\n")[0].splitlines()
    assert [line.split(maxsplit=4) for line in section] == [
        ["BY", "PHASE", "HAS", "DETAIL"],
        ["wan-pd", "DHCPv6", "Bound", "2001:db8:4000::/56", "11h left, renews in 11m"],
        ["wan-na", "DHCPv6", "Acquiring", "-", "5 Solicits were not answered"],
        ["wan", "RA", "Bound", "2001:db8:ff:0:5b77:17bb:97d3:2208/64", "via fe80::1"],
        ["cut", "DHCPv6", "Bound", "2001:db8:8000::/56", "11h left, no carrier"],
    ]
    assert max(map(len, section)) < 100
    looked_at = ctl("doctor", "wan").out
    assert all(f" {one} " in looked_at for one in ("DHCPv6PrefixDelegation/wan-pd", "DHCPv6Address/wan-na"))
    assert " IPv6RAAddress/wan " in looked_at


def test_describe_tells_moments_once(routerd: Routerd, ctl: Inside) -> None:
    """By their instants; by the host's clock where there are none."""
    times = {"validUntil": at(SOON), "validUntilMonotonic": 163970.52}
    former = [{"prefix": "2001:db8:40::/64", "expiresAt": at(SOON), "expiresAtMonotonic": 163970.52}]
    status = {"phase": "Applied", **times, "previous": former, "untilMonotonic": 163999.5}
    routerd.resource("IPv6DelegatedAddress", "lan6", {}, status)
    shown = ctl("describe", "IPv6DelegatedAddress/lan6").out
    assert shown.count("(in 11m)") == 2
    assert "163970" not in shown
    assert "untilMonotonic         163999.5" in shown
