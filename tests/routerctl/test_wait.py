"""`wait`: woken by events, says what it waits for, and ends as it should."""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.routerctl.conftest import condition
from tests.routerctl.run import Inside, running
from tests.routerctl.server import PREFIX, Routerd, error, raw_server

CLIENT = "DHCPv4Client/wan"


@pytest.fixture
def acquiring(routerd: Routerd) -> Routerd:
    """The WAN has no lease yet."""
    routerd.resources[CLIENT]["status"] = {
        "phase": "Acquiring",
        "conditions": [condition("LeaseReady", "False", "Selecting")],
    }
    routerd.event("routerd.dhcpv4.client.discover.sent", "DISCOVER 3 sent, no OFFER", about=CLIENT)
    return routerd


def test_the_blocker_each_time_it_changes(acquiring: Routerd) -> None:
    with running(
        acquiring.run_dir, *f"wait {CLIENT} --for phase=Bound --or-fail phase=Error --timeout 60s".split()
    ) as program:
        assert re.fullmatch(r"waiting: Acquiring \(DISCOVER 3 sent, no OFFER\) +\d+s", program.note())
        acquiring.event("routerd.interface.up", "not of this resource", about="Interface/wan")
        acquiring.event("routerd.dhcpv4.client.offer.received", "OFFER from 192.0.2.1, REQUEST sent", about=CLIENT)
        assert re.fullmatch(r"waiting: Acquiring \(OFFER from 192\.0\.2\.1, REQUEST sent\) +\d+s", program.note())
        acquiring.change(
            CLIENT, "routerd.dhcpv4.client.lease.bound", phase="Bound", currentAddress="192.0.2.10", prefixLength=24
        )
        assert re.fullmatch(r"met: phase=Bound address=192\.0\.2\.10/24 +\d+s", program.line())
        assert program.process.wait(20) == 0


def test_it_is_woken_not_polling(acquiring: Routerd) -> None:
    """Between two events there is one long poll and no other request."""
    with running(acquiring.run_dir, "wait", CLIENT, "--for", "phase=Bound") as program:
        program.note()
        acquiring.await_poll()
        before = len(acquiring.requests)
        time.sleep(0.3)
        assert len(acquiring.requests) == before
        acquiring.change(CLIENT, "routerd.dhcpv4.client.lease.bound", phase="Bound")
        assert program.process.wait(20) == 0


def test_several_conditions_at_once(acquiring: Routerd) -> None:
    words = f"wait {CLIENT} --for condition=LeaseReady --for jsonpath=.status.defaultGateway=192.0.2.1"
    with running(acquiring.run_dir, *words.split()) as program:
        assert "; LeaseReady is False; .status.defaultGateway is - " in program.note()
        ready = [condition("LeaseReady", "True", "Bound")]
        acquiring.change(CLIENT, "routerd.dhcpv4.client.lease.bound", phase="Bound", conditions=ready)
        assert "Bound (" in program.note()
        acquiring.change(CLIENT, "routerd.test", defaultGateway="192.0.2.1")
        assert program.line().startswith("met: condition=LeaseReady jsonpath=.status.defaultGateway=192.0.2.1 ")


def test_an_already_failed_resource_ends_it_at_once(acquiring: Routerd, ctl: Inside) -> None:
    acquiring.change(CLIENT, "routerd.test", "no server answers", phase="Error")
    done = ctl(*f"wait {CLIENT} --for phase=Bound --or-fail phase=Error".split())
    assert (done.code, done.out) == (8, "")
    assert done.err == f"error: {CLIENT} is Error (no server answers) after 0s: phase=Error holds\n"


def test_a_failure_while_waiting_ends_it(acquiring: Routerd) -> None:
    with running(acquiring.run_dir, *f"wait {CLIENT} --for phase=Bound --or-fail phase=Error".split()) as program:
        program.note()
        acquiring.change(CLIENT, "routerd.test", "no server answers", phase="Error")
        assert program.process.wait(20) == 8


def test_the_timeout_names_the_blocker(acquiring: Routerd, ctl: Inside) -> None:
    done = ctl(*f"wait {CLIENT} --for phase=Bound --timeout 100ms".split())
    assert (done.code, done.out) == (7, "")
    assert done.err.splitlines()[-1] == (
        f"error: {CLIENT} is Acquiring (DISCOVER 3 sent, no OFFER) after 0s; wanted phase=Bound"
    )


def test_zero_is_a_look(acquiring: Routerd, ctl: Inside) -> None:
    assert ctl("wait", CLIENT, "--for", "phase=Acquiring", "--timeout", "0").code == 0
    assert ctl("wait", CLIENT, "--for", "phase=Bound", "--timeout", "0").code == 7


def test_deleted(routerd: Routerd) -> None:
    with running(routerd.run_dir, "wait", "IPv4StaticAddress/lan", "--for", "deleted") as program:
        assert program.note().startswith("waiting: Applied")
        routerd.remove("IPv4StaticAddress/lan")
        assert program.line().startswith("met: deleted ")


def test_it_outlives_a_restart(acquiring: Routerd) -> None:
    with running(acquiring.run_dir, "wait", CLIENT, "--for", "phase=Bound") as program:
        program.note()
        acquiring.stop()
        program.notes_until("cannot reach routerd")
        acquiring.change(CLIENT, "routerd.dhcpv4.client.lease.bound", phase="Bound")
        acquiring.start()
        assert program.line().startswith("met: phase=Bound")


def test_quiet_says_nothing_but_the_result(acquiring: Routerd, ctl: Inside) -> None:
    done = ctl("-q", *f"wait {CLIENT} --for phase=Acquiring".split())
    assert (done.out.startswith("met: "), done.err) == (True, "")


def test_json_is_the_resource(routerd: Routerd, ctl: Inside) -> None:
    done = ctl("wait", CLIENT, "--for", "phase=Bound", "-o", "json")
    assert json.loads(done.out)["status"]["currentAddress"] == "192.0.2.10"


def test_a_silent_routerd_does_not_hold_it_past_the_timeout(routerd: Routerd, ctl: Inside) -> None:
    routerd.stop()
    began = time.monotonic()
    with raw_server(routerd.run_dir / "routerd-status.sock", lambda connection: connection.recv(1)):
        assert ctl("wait", CLIENT, "--for", "phase=Bound", "--timeout", "300ms").code == 7
    assert time.monotonic() - began < 5


# routerd itself


def test_ready_waits_for_the_socket_and_then_for_the_checks(routerd: Routerd) -> None:
    routerd.stop()
    routerd.checks[2] = {"name": "configuration", "status": "fail", "detail": "router.yaml:8:17: unknown field"}
    with running(routerd.run_dir, "wait", "routerd", "--for", "ready") as program:
        assert program.note().startswith(
            f"waiting: out of reach (cannot reach routerd: no socket at {routerd.run_dir}/"
        )
        routerd.start()
        assert "not ready (configuration: router.yaml:8:17: unknown field)" in program.note()
        routerd.checks[2] = {"name": "configuration", "status": "pass"}
        routerd.event("routerd.configuration.applied")
        assert program.line().startswith("met: ready ")
        assert program.process.wait(20) == 0


def test_ready_in_time_or_not_at_all(routerd: Routerd, ctl: Inside) -> None:
    routerd.overrides["/readyz"] = (503, {"status": "failed"})
    done = ctl("wait", "routerd", "--for", "ready", "--timeout", "50ms")
    assert done.code == 7
    assert "error: routerd is not ready (it does not say why) after 0s; wanted ready\n" in done.err


def test_a_denied_wait_does_not_wait(routerd: Routerd, ctl: Inside) -> None:
    routerd.overrides[f"{PREFIX}/events"] = error(403, "not you")
    assert ctl("wait", CLIENT, "--for", "phase=Bound").code == 5
