"""How often a message is said again (RFC 9915 §15), by vectors that any implementation can be held against."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from routerd.protocols.dhcpv6 import exchange
from routerd.protocols.dhcpv6.exchange import Exchange, Schedule
from tests.vectors import cases

SCHEDULES = {
    "Solicit": exchange.SOLICIT,
    "Request": exchange.REQUEST,
    "Confirm": exchange.CONFIRM,
    "Renew": exchange.EXTEND,
    "Rebind": exchange.EXTEND,
    "Rebind used as Confirm": exchange.CONFIRM,
    "Information-request": exchange.INFORMATION,
    "Release": exchange.GOODBYE,
    "Decline": exchange.GOODBYE,
}


def test_every_message_has_its_vectors() -> None:
    assert {case.values[0]["message"] for case in cases("dhcpv6/schedule")} == set(SCHEDULES)


@pytest.mark.req("V6-1")
@pytest.mark.parametrize("case", cases("dhcpv6/schedule"))
def test_shared_vectors(case: dict[str, Any]) -> None:
    schedule = SCHEDULES[case["message"]]
    assert (schedule.irt, schedule.mrt, schedule.mrc, schedule.mrd) == tuple(
        case[name] for name in ("irt", "mrt", "mrc", "mrd")
    )
    now, said = 0.0, Exchange(1, schedule, 0.0)
    for number, wait in enumerate(case["waits"], 1):
        said = said.sent(now, case["rand"])
        assert said.wait == pytest.approx(wait, abs=1e-5)
        assert said.send_at == now + said.wait
        assert said.is_exhausted is (case["mrc"] == number)
        now = said.send_at
    assert said.ends_at == (now if case["mrc"] else case["mrd"] or None)
    assert (said.next_at is None) is bool(case["mrc"])


@pytest.mark.req("V6-2")
@pytest.mark.req("V6-2", "breaks")
@pytest.mark.parametrize(
    ("after", "elapsed"), [(0.0, 0), (0.0199, 1), (1.0, 100), (655.35, 65535), (655.36, 65535), (1e9, 65535)]
)
def test_elapsed_time_is_saturated(after: float, elapsed: int) -> None:
    begun = Exchange(1, exchange.SOLICIT, 0.0)
    assert begun.elapsed(100.0) == 0, "nothing was said yet"
    assert begun.sent(0.0, 0.1).elapsed(after) == pytest.approx(elapsed, abs=1)


def test_an_answer_belongs_to_the_earliest_transmission_that_it_can_be_to() -> None:
    said = attrs.evolve(Exchange(1, Schedule(10), 0.0), recent=(0.0, 30.0, 90.0))
    assert [said.answered(now) for now in (91.0, 94.0, 95.0, 1000.0)] == [30.0, 30.0, 90.0, 90.0]
