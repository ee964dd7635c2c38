"""How a configuration comes out, resource by resource."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from routerd.api.wire_changes import Orphan, ResourceResult
from routerd.changes.forecast import Foreseen
from routerd.changes.outcome import Compared, orphans, overall, phase_of, results
from routerd.config import Router, load
from routerd.config.diff import diff
from routerd.events.types import Ref, Status

DOCUMENT = """apiVersion: routerd.net/v1alpha1
kind: Router
metadata: {name: home}
spec:
  resources:
"""
LINE = "  - {apiVersion: net.routerd.net/v1alpha1, kind: Interface, metadata: {name: %s}, spec: {ifname: %s}}\n"

WAN, LAN = Ref("Interface", "wan"), Ref("Interface", "lan")
UP: Status = {"phase": "Up", "ifname": "eth0", "mtu": 1500, "message": "as it should be"}
REFUSED: Status = {"phase": "Error", "reason": "HostRefused", "message": "no"}
HELD: Status = {"phase": "Pending", "reason": "WhenFalse", "message": "it is not so"}
NOT_YET: Status = {"phase": "Pending", "reason": "LinkAbsent"}


def router(**ifnames: str) -> Router:
    return load(DOCUMENT + "".join(LINE % pair for pair in ifnames.items()), "test")


def found(
    objects: Mapping[Ref, Status], *, done: bool, foreseen: Foreseen | None = None
) -> Mapping[str, ResourceResult]:
    """What is told when lan goes, and wan moves to another link."""
    before, after = router(wan="eth0", lan="eth1"), router(wan="eth2")
    compared = Compared(before, after, diff(before, after), foreseen or Foreseen())
    return {one.id.rpartition("/")[2]: one for one in results(compared, objects, done=done)}


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        (UP, "Healthy"),
        (HELD, "Disabled"),
        (REFUSED, "Blocked"),
        (NOT_YET, "Drifted"),
        ({}, "Drifted"),
        (None, "Drifted"),
    ],
)
def test_the_phase_of_a_resource(status: Status | None, phase: str) -> None:
    assert phase_of(status) == phase


@pytest.mark.parametrize(
    ("lan", "crashed", "phase"),
    [
        (UP, False, "Healthy"),
        (HELD, False, "Healthy"),
        (NOT_YET, False, "Drifted"),
        (REFUSED, False, "Blocked"),
        (UP, True, "Errored"),
    ],
)
def test_the_worst_of_them_is_the_phase_of_all(lan: Status, crashed: bool, phase: str) -> None:
    assert overall(router(wan="eth0", lan="eth1"), {WAN: UP, LAN: lan}, crashed) == phase


@pytest.mark.parametrize(
    ("status", "done", "outcome"),
    [
        (UP, True, "changed"),
        (REFUSED, True, "failed"),
        (REFUSED, False, "changed"),
        (HELD, True, "skipped"),
        (HELD, False, "changed"),
    ],
)
def test_what_becomes_of_a_resource_that_is_changed(status: Status, done: bool, outcome: str) -> None:
    assert found({WAN: status}, done=done)["wan"].outcome == outcome


@pytest.mark.parametrize(("status", "done", "outcome"), [(None, True, "removed"), (REFUSED, True, "failed")])
def test_what_becomes_of_a_resource_that_goes(status: Status | None, done: bool, outcome: str) -> None:
    objects = {WAN: UP} | ({} if status is None else {LAN: status})
    assert found(objects, done=done)["lan"].outcome == outcome
    assert found(objects, done=False)["lan"].outcome == "removed"


def test_what_is_foreseen_is_told_of_each() -> None:
    foreseen = Foreseen({WAN: ["set eth2 administratively up"]}, held={WAN: "it is not so"})
    planned = found({WAN: UP}, done=False, foreseen=foreseen)["wan"]
    assert (planned.outcome, planned.plan) == ("skipped", ["set eth2 administratively up"])
    assert planned.warnings == ["it waits: it is not so"]
    assert found({WAN: UP}, done=True, foreseen=foreseen)["wan"].warnings is None


def test_of_a_status_what_is_text_is_observed_and_what_is_told_anyway_is_not() -> None:
    assert found({WAN: UP}, done=True)["wan"].observed == {"ifname": "eth0"}


def test_an_orphan_is_what_no_configuration_declares() -> None:
    objects = {WAN: UP, LAN: UP, Ref("Router", "home", "routerd.net/v1alpha1"): {"phase": "Applied"}}
    known = {"ifname": "eth0"}
    remedy = "delete Interface/lan with force"
    assert list(orphans(objects, router(wan="eth0"))) == [
        Orphan("Interface", "lan", "NotDeclared", None, remedy, known)
    ]
    assert list(orphans(objects, router(wan="eth0"), router(lan="eth1"))) == []
