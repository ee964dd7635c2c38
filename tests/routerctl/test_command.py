"""`renew` and the other commands: answered by their end, with what happens meanwhile."""

from __future__ import annotations

import json
import threading

import pytest

from routerctl.__main__ import VERBS
from tests.routerctl.run import Inside, on_terminal, running
from tests.routerctl.server import Answer, Routerd, error, raw_server, result

COMMANDS = [verb for verb, (module, _) in VERBS.items() if module == "command"]


@pytest.mark.parametrize("verb", COMMANDS)
def test_each_is_posted_to_the_daemon(verb: str, routerd: Routerd, ctl: Inside) -> None:
    routerd.commands[verb] = lambda *_: (200, result(verb, "done", eventId="9", succeeded="true"))
    done = ctl(verb, "dhcp4/wan")
    assert (done.code, done.out, done.err) == (0, f"{verb} DHCPv4Client/wan: done (event 9)\n", "")


def test_failed(routerd: Routerd, ctl: Inside) -> None:
    routerd.commands["renew"] = lambda *_: (200, result("renew", "the server said no", eventId="9", succeeded="false"))
    done = ctl("renew", "dhcp4/wan")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "error: renew DHCPv4Client/wan: the server said no\n"
        "help: routerctl events -f --since 9 --resource DHCPv4Client/wan\n"
    )


def test_pending_at_the_timeout(routerd: Routerd, ctl: Inside) -> None:
    routerd.commands["renew"] = lambda *_: (200, result("renew", "renew goes on", eventId="9", pending="true"))
    done = ctl("renew", "dhcp4/wan", "--timeout", "2s")
    assert done.code == 7
    assert done.err.startswith("error: renew DHCPv4Client/wan has not ended yet; it goes on\n")
    assert {"wait": ["2000ms"]} in [query for _, _, _, query, _ in routerd.requests]


def test_no_wait_gives_the_event_to_follow(routerd: Routerd, ctl: Inside) -> None:
    routerd.commands["renew"] = lambda *_: (200, result("renew", "renew goes on", eventId="9", pending="true"))
    done = ctl("renew", "dhcp4/wan", "--no-wait")
    assert (done.code, done.out) == (0, "renew DHCPv4Client/wan: renew goes on (event 9)\n")
    assert [(path, query) for _, _, path, query, _ in routerd.requests] == [("/v1/commands/renew", {"wait": ["0ms"]})]


def test_routerd_waits_a_minute_at_most(routerd: Routerd, ctl: Inside) -> None:
    routerd.commands["renew"] = lambda *_: (200, result("renew", "renewed", succeeded="true"))
    ctl("renew", "dhcp4/wan", "--timeout", "1h")
    assert {"wait": ["60000ms"]} in [query for _, _, _, query, _ in routerd.requests]


@pytest.fixture
def slow(routerd: Routerd) -> threading.Event:
    """A renew that ends when this is set."""
    ended = threading.Event()

    def renew(*_: object) -> Answer:
        assert ended.wait(20)
        return 200, result("renew", "renewed for 1h", eventId="9", succeeded="true")

    routerd.commands["renew"] = renew
    return ended


def test_progress_is_told_line_by_line_in_a_pipe(routerd: Routerd, slow: threading.Event) -> None:
    routerd.daemon_event("dhcpv4-client/wan", "routerd.old", "of yesterday")
    with running(routerd.run_dir, "renew", "DHCPv4Client/wan") as program:
        routerd.await_daemon_poll(after=1)
        routerd.daemon_event("dhcpv4-client/wan", "routerd.dhcpv4.client.renew.sent", "REQUEST sent to 192.0.2.1")
        routerd.daemon_event("dhcpv4-client/wan", "routerd.daemon.command.received", "renew was asked for")
        assert program.note().startswith("waiting: REQUEST sent to 192.0.2.1  ")
        routerd.daemon_event("dhcpv4-client/wan", "routerd.dhcpv4.client.renew.failed", "no answer, next try soon")
        assert program.note().startswith("waiting: no answer, next try soon  ")
        slow.set()
        assert program.line() == "renew DHCPv4Client/wan: renewed for 1h (event 9)"
        assert program.process.wait(20) == 0


def test_progress_is_one_line_of_a_terminal(routerd: Routerd, slow: threading.Event) -> None:
    def go_on() -> None:
        routerd.await_daemon_poll(after=0)
        routerd.daemon_event("dhcpv4-client/wan", "routerd.dhcpv4.client.renew.sent", "REQUEST sent")
        routerd.await_daemon_poll(after=1)
        slow.set()

    thread = threading.Thread(target=go_on)
    thread.start()
    done = on_terminal(routerd.run_dir, "renew", "DHCPv4Client/wan")
    thread.join()
    assert done.code == 0
    assert "\r\x1b[Kwaiting: REQUEST sent  " in done.out
    assert done.out.endswith("\r\x1b[Krenew DHCPv4Client/wan: renewed for 1h (event 9)\n"), "and is gone at the end"


def test_a_daemon_that_cannot_tell_its_events_still_obeys(routerd: Routerd, ctl: Inside) -> None:
    routerd.commands["renew"] = lambda *_: (200, result("renew", "renewed", succeeded="true"))
    routerd.overrides["/v1/events"] = error(503, "the event log cannot be read now")
    assert ctl("renew", "dhcp4/wan").code == 0


def test_events_that_break_off_do_not_end_the_command(routerd: Routerd, slow: threading.Event) -> None:
    with running(routerd.run_dir, "renew", "DHCPv4Client/wan") as program:
        routerd.await_daemon_poll(after=0)
        routerd.overrides["/v1/events"] = error(410, "gone")
        routerd.daemon_event("dhcpv4-client/wan", "routerd.dhcpv4.client.renew.sent", "REQUEST sent")
        program.note()
        slow.set()
        assert program.process.wait(20) == 0


def test_a_silent_daemon_ends_with_6(routerd: Routerd, ctl: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """It took the command and says nothing: after the time for the command and for an answer."""
    monkeypatch.setattr("routerctl.client.ANSWER", 0.2)
    routerd.stop()
    with raw_server(routerd.run_dir / "dhcpv4-client" / "wan.sock", lambda connection: connection.recv(1)):
        assert ctl("renew", "dhcp4/wan", "--timeout", "100ms").code == 6


def test_json_is_the_command_result(routerd: Routerd, ctl: Inside) -> None:
    told = result("renew", "renewed", eventId="9", succeeded="true")
    routerd.commands["renew"] = lambda *_: (200, told)
    assert json.loads(ctl("renew", "dhcp4/wan", "-o", "jsonl").out) == told


def test_a_daemon_that_routerd_does_not_run(run_dir: object, ctl: Inside) -> None:
    """Not one daemon socket: it is routerd that is missing."""
    assert ctl("renew", "dhcp4/wan").code == 6
