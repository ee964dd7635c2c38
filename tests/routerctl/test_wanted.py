"""The conditions of `wait`."""

from __future__ import annotations

from typing import Any

import pytest

from routerctl.wanted import Wanted, blocker

RESOURCE: dict[str, Any] = {
    "kind": "DHCPv4Client",
    "name": "wan",
    "status": {
        "phase": "Bound",
        "mtu": 1492,
        "flag": True,
        "empty": "",
        "list": [{"a": "x=y"}, {"a.b": None}],
        "conditions": [
            {"type": "LeaseReady", "status": "True"},
            {"type": "Probed", "status": "Unknown", "message": "no answer yet"},
        ],
    },
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("phase=Bound", True),
        ("phase=bound", True),
        ("phase=Lost", False),
        ("condition=LeaseReady", True),
        ("condition=leaseready=true", True),
        ("condition=LeaseReady=False", False),
        ("condition=Probed", False),
        ("condition=Probed=Unknown", True),
        ("condition=Nothing", False),
        ("deleted", False),
        ("jsonpath=.status.mtu=1492", True),
        ("jsonpath=status.mtu=1492", True),
        ("jsonpath={.status.mtu}=1492", True),
        ("jsonpath=.status.mtu=1493", False),
        ("jsonpath=.status.flag=true", True),
        ("jsonpath=.status.flag", True),
        ("jsonpath=.status.empty", False),
        ("jsonpath=.status.nothing", False),
        ("jsonpath=.status.nothing.more=x", False),
        ("jsonpath=.status.list[0].a=x=y", True),
        ("jsonpath=.status.list[7].a=x", False),
        ("jsonpath=.status.list[1]['a.b']=null", True),
        ("jsonpath=.status.phase[0]=B", False),
    ],
)
def test_holds(text: str, holds: bool) -> None:
    assert Wanted(text).holds(RESOURCE) is holds


def test_nothing_holds_of_what_is_gone_but_that() -> None:
    assert Wanted("deleted").holds(None)
    assert not Wanted("phase=Unknown").holds(None)


def test_the_blocker_tells_the_phase_and_why() -> None:
    assert blocker(RESOURCE, [Wanted("phase=Lost")]) == "Bound (no answer yet)"
    assert blocker(RESOURCE, [Wanted("condition=Probed")]) == "Bound (no answer yet); Probed is Unknown"
    assert blocker({}, [Wanted("condition=Ready")]) == "Unknown; Ready is not there yet"
    assert blocker(RESOURCE, [Wanted("jsonpath=.status.mtu=1500")]).endswith("; .status.mtu is 1492")
