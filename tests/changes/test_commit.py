"""A change on trial, by timelines: confirmed, extended, forgotten, cut off; restarts; and that going back succeeds."""

from __future__ import annotations

from typing import Any

import pytest

from routerd.changes.commit import (
    LONGEST,
    Confirm,
    Confirmed,
    Ended,
    Extend,
    Extended,
    GuardFailed,
    GuardHolds,
    PendingCommit,
    Restarted,
    Revert,
    Reverted,
    RevertFailed,
    Reverting,
    Waiting,
    Warn,
    Withdrawn,
    digest_of,
)
from routerd.protocols.machine import Refused, Start, Stop, Tick
from tests.protocols.timeline import Timeline

BOOT, TOKEN = "this boot", "the token"
BEGAN, WITHIN = 1000.0, 300.0
LINK_LOST = GuardFailed("interface eth1", "eth1 has no carrier", 10.0)
FORGOTTEN = Revert("NotConfirmed", "nobody confirmed it in time")


def trial(within: float = WITHIN, **changes: Any) -> Timeline:
    machine = PendingCommit(now=BEGAN, until=BEGAN + within, boot_id=BOOT, token_digest=digest_of(TOKEN), **changes)
    timeline = Timeline(machine, BEGAN)
    assert timeline.feed(Start()) == []
    return timeline


def said(timeline: Timeline, seconds: float) -> list[tuple[float, Any]]:
    return [(one.at - BEGAN, one.output) for one in timeline.run(seconds)]


def test_a_change_that_nobody_confirms_goes_back_in_time_and_not_before() -> None:
    timeline = trial()
    assert said(timeline, 299.9) == [(240.0, Warn(60.0)), (290.0, Warn(10.0))]
    assert said(timeline, 0.2) == [(300.0, FORGOTTEN)]
    assert timeline.feed(Reverted()) == []
    assert timeline.machine.deadline is None and isinstance(timeline.machine.state, Ended)
    assert timeline.run(1e6) == []


def test_a_short_trial_is_not_begun_with_a_warning() -> None:
    assert said(trial(60.0), 55) == [(50.0, Warn(10.0))]
    assert said(trial(10.0), 9.9) == []


def test_a_change_that_is_confirmed_stays() -> None:
    timeline = trial()
    timeline.run(100)
    assert timeline.feed(Confirm(TOKEN)) == [Confirmed()]
    assert timeline.run(1e6) == []
    assert timeline.feed(Confirm(TOKEN)) == [Refused("confirm", "it has ended")]


def test_it_can_be_confirmed_at_the_last_moment() -> None:
    timeline = trial()
    timeline.now += WITHIN
    assert timeline.feed(Confirm(TOKEN)) == [Confirmed()]


def test_after_the_last_moment_it_cannot_although_the_tick_is_late() -> None:
    timeline = trial()
    timeline.now += WITHIN + 0.001
    assert timeline.feed(Confirm(TOKEN)) == [Refused("confirm", "the time to confirm it is over"), FORGOTTEN]
    assert timeline.feed(Confirm(TOKEN)) == [
        Refused("confirm", "it is going back already: nobody confirmed it in time")
    ]


@pytest.mark.parametrize("token", ["", "another", TOKEN + " ", digest_of(TOKEN), "\udc80", "ä"])
def test_another_token_confirms_and_extends_nothing(token: str) -> None:
    timeline = trial()
    assert timeline.feed(Confirm(token)) == [Refused("confirm", "this is not its token")]
    assert timeline.feed(Extend(token, 600)) == [Refused("extend", "this is not its token")]
    assert timeline.run(WITHIN)[-1].output == FORGOTTEN


def test_a_token_is_in_no_repr() -> None:
    assert TOKEN not in repr([Confirm(TOKEN), Extend(TOKEN, 1.0)])


def test_it_can_be_extended_and_is_warned_of_anew() -> None:
    timeline = trial()
    timeline.run(295)
    assert timeline.feed(Extend(TOKEN, 600)) == [Extended(BEGAN + 895)]
    assert said(timeline, 600) == [(835.0, Warn(60.0)), (885.0, Warn(10.0)), (895.0, FORGOTTEN)]


def test_extending_never_shortens() -> None:
    timeline = trial()
    timeline.run(100)
    assert timeline.feed(Extend(TOKEN, 30)) == [Refused("extend", "it has 3m20s left already")]
    assert timeline.machine.state.until == BEGAN + WITHIN


def test_nobody_extends_for_ever() -> None:
    assert trial().feed(Extend(TOKEN, 1e300)) == [Extended(BEGAN + LONGEST)]


# Guards


def test_a_guard_that_goes_on_failing_reverts_early() -> None:
    timeline = trial()
    timeline.run(20)
    assert timeline.feed(LINK_LOST) == []
    assert said(timeline, 10) == [(30.0, Revert("GuardFailed", "eth1 has no carrier for 10s"))]


def test_a_guard_that_holds_again_is_forgiven() -> None:
    timeline = trial()
    timeline.feed(LINK_LOST)
    timeline.run(9)
    timeline.feed(GuardHolds(LINK_LOST.guard))
    timeline.run(5)
    timeline.feed(LINK_LOST)
    assert timeline.run(9.9) == []
    assert timeline.run(0.1)[0].output.reason == "GuardFailed"


def test_a_guard_is_not_forgiven_by_failing_in_another_way() -> None:
    timeline = trial()
    timeline.feed(LINK_LOST)
    timeline.run(6)
    timeline.feed(GuardFailed(LINK_LOST.guard, "eth1 has no address", 10.0))
    timeline.feed(GuardHolds("another"))
    assert said(timeline, 4) == [(10.0, Revert("GuardFailed", "eth1 has no address for 10s"))]


def test_what_will_not_come_back_reverts_at_once() -> None:
    timeline = trial()
    assert timeline.feed(GuardFailed("interface eth1", "there is no eth1", 0.0)) == [
        Revert("GuardFailed", "there is no eth1")
    ]


def test_what_is_borne_becomes_what_is_not() -> None:
    timeline = trial()
    timeline.feed(LINK_LOST)
    timeline.run(3)
    [revert] = timeline.feed(GuardFailed(LINK_LOST.guard, "there is no eth1", 0.0))
    assert revert.message == "there is no eth1 for 3s"


def test_the_operator_s_word_is_worth_more_than_a_guard_that_fails() -> None:
    timeline = trial()
    timeline.feed(LINK_LOST)
    timeline.run(5)
    assert timeline.feed(Confirm(TOKEN)) == [Confirmed()]
    assert timeline.run(1e6) == []


# Restarts of routerd and of the host, and sleep


def test_a_restart_of_routerd_changes_nothing() -> None:
    machine = PendingCommit(now=BEGAN + 100, until=BEGAN + WITHIN, boot_id=BOOT, token_digest=digest_of(TOKEN))
    timeline = Timeline(machine, BEGAN + 100)
    assert timeline.feed(Restarted(BOOT)) == []
    assert said(timeline, 199.9) == [(240.0, Warn(60.0)), (290.0, Warn(10.0))]
    assert timeline.feed(Confirm(TOKEN)) == [Confirmed()]


@pytest.mark.parametrize("late", [0.0, 1.0, 1e6])
def test_a_restart_after_its_time_reverts_at_once(late: float) -> None:
    now = BEGAN + WITHIN + late
    machine = PendingCommit(now=now, until=BEGAN + WITHIN, boot_id=BOOT, token_digest=digest_of(TOKEN))
    assert Timeline(machine, now).feed(Restarted(BOOT)) == [FORGOTTEN]


@pytest.mark.parametrize("now", [0.0, BEGAN + 1, BEGAN + 1e6])
def test_a_reboot_reverts_at_once_whatever_its_clock_shows(now: float) -> None:
    machine = PendingCommit(now=now, until=BEGAN + WITHIN, boot_id=BOOT, token_digest=digest_of(TOKEN))
    [revert] = Timeline(machine, now).feed(Restarted("another boot"))
    assert revert.reason == "Reboot"


def test_a_restart_while_it_goes_back_goes_on_going_back() -> None:
    begun = Revert("GuardFailed", "eth1 has no carrier for 10s")
    machine = PendingCommit(
        now=BEGAN + 50, until=BEGAN + WITHIN, boot_id=BOOT, token_digest=digest_of(TOKEN), going_back=begun
    )
    assert Timeline(machine, BEGAN + 50).feed(Restarted(BOOT)) == [begun]


def test_sleep_counts() -> None:
    assert trial().sleep(3600) == [FORGOTTEN]


# Going back


def test_going_back_is_tried_until_it_succeeds() -> None:
    timeline = trial(10.0)
    timeline.run(10)
    assert timeline.feed(RevertFailed("No space left on device")) == []
    assert said(timeline, 1) == [(11.0, FORGOTTEN)]
    timeline.feed(RevertFailed("No space left on device"))
    assert said(timeline, 2) == [(13.0, FORGOTTEN)]
    for _ in range(10):
        timeline.feed(RevertFailed("No space left on device"))
        assert len(timeline.until(Revert, within=60.0).message) > 0
    timeline.feed(Reverted())
    assert timeline.run(1e6) == []


def test_nothing_that_happens_meanwhile_stops_it() -> None:
    timeline = trial(10.0)
    timeline.run(10)
    for event in (Extend(TOKEN, 60), GuardHolds("x"), LINK_LOST, Start(), Stop(), Restarted(BOOT), Tick()):
        assert all(isinstance(output, Refused) for output in timeline.feed(event))
    assert isinstance(timeline.machine.state, Reverting)


def test_somebody_else_may_end_it() -> None:
    timeline = trial()
    assert timeline.feed(Withdrawn()) == []
    assert timeline.run(1e6) == []


def test_stop_is_not_the_end() -> None:
    timeline = trial()
    assert timeline.feed(Stop()) == []
    assert isinstance(timeline.machine.state, Waiting)
