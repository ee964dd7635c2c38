"""Rules in life, on a real log: what they say, from where they go on, and that history would have said the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from routerd.events.log import Log, inline, open_log
from routerd.events.types import Consumed, Event, Filter, Ref, StoredEvent
from routerd.resources.derived import DerivedEvent
from routerd.resources.rules import EventRule
from routerd.rules import rule_run
from routerd.rules.around import Around
from routerd.rules.clock import STEP
from routerd.rules.derived_run import run_derived
from routerd.rules.history import played
from routerd.rules.rule_run import consumer_of, run_rule
from tests.events.conftest import small_disk
from tests.events.disks import SmallDisk
from tests.events.saying import everything
from tests.events.test_degraded import fill, recovered
from tests.rules.saying import TOPIC, derived, event, rule
from tests.rules.test_machine import OPERATORS

__all__ = ["small_disk"]

NS = 10**9
BEGAN = 1_700_000_000
WAN = Ref("DHCPv4Client", "wan")


def wall() -> int:
    """The wall clock goes with the clock of the test."""
    return BEGAN * NS + round(trio.current_time() * NS)


@asynccontextmanager
async def opened(place: Path, clock: Any = wall) -> AsyncIterator[Log]:
    async with open_log(place / "routerd.db", clock_ns=clock, run_sync=inline) as log:
        yield log


@asynccontextmanager
async def living(log: Log, **specs: EventRule | DerivedEvent) -> AsyncIterator[None]:
    """These rules run; a pattern that is over at the very end is still told."""
    async with trio.open_nursery() as nursery:
        for name, spec in specs.items():
            if isinstance(spec, EventRule):
                nursery.start_soon(run_rule, log, name, spec, Around(trio.sleep))
            else:
                nursery.start_soon(run_derived, log, name, spec, Around(trio.sleep))
        await trio.sleep(0.001)
        yield
        await trio.sleep(0.001)
        nursery.cancel_scope.cancel()


async def said(log: Log, *topics: str) -> list[StoredEvent]:
    return await everything(log, where=Filter(topics=topics or (TOPIC,)))


async def causes(log: Log, *topics: str) -> list[tuple[int, ...]]:
    return [stored.event.causes for stored in await said(log, *topics)]


def status(log: Log, ref: Ref) -> dict[str, Any]:
    """Without its conditions."""
    stored = log.objects.get(ref)
    assert stored is not None
    return {field: value for field, value in stored.status.items() if field not in ("conditions", "observedGeneration")}


async def test_a_rule_says_what_follows(tmp_path: Path, autojump_clock: MockClock) -> None:
    spec = rule("window", "a", threshold=2, correlate_by="resource.name", attributes={"n": "${count}"})
    async with opened(tmp_path) as log:
        await log.append(event("a"))  # Before it was there: not for it.
        async with living(log, flap=spec):
            first = await log.append(event("a"), Event("a"), event("b"))
            second = await log.append(event("a"))
        (stored,) = await said(log)
        assert stored.event.causes == (first[0], second[0])
        assert (stored.event.reason, stored.event.message) == ("EventRuleFired", "event rule fired")
        assert (stored.event.severity, stored.event.resource) == ("info", Ref("EventRule", "flap"))
        assert stored.event.source is not None
        assert (stored.event.source.kind, stored.event.source.instance) == ("routerd-eventrule", "flap")
        assert stored.event.attributes == {"n": "2", "correlation": "wan"}
        assert status(log, Ref("EventRule", "flap")) == {
            "phase": "Active",
            "topic": TOPIC,
            "fireCount": 1,
            "warningCount": 1,
            "lastFiredAt": "2023-11-14T22:13:20.001Z",
        }
        consumer = log.consumers.get(consumer_of("flap"))
        assert consumer is not None
        assert consumer.cursor >= second[0]


async def test_one_rule_hears_another(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as log:
        async with living(log, one=rule("any_of", "a"), two=rule("count", TOPIC, threshold=2)):
            await log.append(event("a"), event("a"))
            await trio.sleep(1)
        assert (await causes(log))[2:] == [tuple(s.id for s in (await said(log))[:2])]


async def test_nobody_hears_what_it_says_itself(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Also not what is said of it: its status changes with every event."""
    async with opened(tmp_path) as log:
        async with living(log, all=rule("any_of", "**")):
            await log.append(event("a"))
            await trio.sleep(100)
        assert await causes(log) == [(2,)]
        assert log.newest == 3


async def test_what_is_half_seen_outlives_a_restart(tmp_path: Path, autojump_clock: MockClock) -> None:
    specs = {
        "flap": rule("window", "a", threshold=3, window="1m"),
        "silent": rule("absence", trigger="a", duration="90s"),
    }
    async with opened(tmp_path) as log, living(log, **specs):
        (one,) = await log.append(event("a"))
    await trio.sleep(20)
    async with opened(tmp_path) as log:
        (two,) = await log.append(event("a"))  # While it is down.
        async with living(log, **specs):
            await trio.sleep(20)
            (three,) = await log.append(event("a"))
        assert await causes(log) == [(one, two, three)]
    await trio.sleep(500)
    async with opened(tmp_path) as log, living(log, **specs):
        await trio.lowlevel.checkpoint()
        assert (await causes(log))[1:] == [(three,)]  # Due while it was down: said as soon as it is up.


async def test_a_timer_is_kept_to_the_moment(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as log:
        async with living(log, silent=rule("absence", trigger="a", expected="b", duration="90s")):
            began = trio.current_time()
            (number,) = await log.append(event("a"))
            with trio.fail_after(100):
                while not await said(log):
                    await log.wait(log.newest)
            assert trio.current_time() - began == pytest.approx(90)
            await log.append(event("b"))
            await trio.sleep(500)
        assert await causes(log) == [(number,)]


async def test_a_timer_waits_for_what_was_said_before_and_is_not_on_disk_yet(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """In history that comes before the deadline; so it does in life."""
    slow = False

    async def disk(function: Any, *args: Any, **options: Any) -> Any:
        if slow:
            await trio.sleep(2)
        return await inline(function, *args, **options)

    async with open_log(tmp_path / "routerd.db", clock_ns=wall, run_sync=disk) as log:
        async with living(log, silent=rule("absence", trigger="a", expected="b", duration="10s")):
            await log.append(event("a"))
            await trio.sleep(9.5)
            slow = True
            log.post(event("b"))
            await trio.sleep(10)
            slow = False
        assert await said(log) == []


async def test_no_wait_ends_while_the_disk_is_full(
    small_disk: SmallDisk, mock_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """What was expected may be among what waits to be written."""
    silent = rule("absence", trigger="a", expected="b", duration="10s")
    async with open_log(small_disk.place / "routerd.db", clock_ns=wall) as log, trio.open_nursery() as nursery:
        nursery.start_soon(run_rule, log, "silent", silent, Around(trio.sleep))
        await log.wait(0)
        await log.append(event("a"))
        await fill(log)
        mock_clock.jump(5)
        await log.append(event("b"))
        mock_clock.jump(20)
        await trio.testing.wait_all_tasks_blocked()
        assert log.degraded is not None
        small_disk.room()
        mock_clock.rate = 20.0
        await recovered(log)
        await trio.sleep(20)
        assert await said(log) == []
        assert [stored.event.topic for stored in await said(log, "b")] == ["b"]
        nursery.cancel_scope.cancel()


async def test_constant_traffic_does_not_hold_up_a_timer(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as log, living(log, silent=rule("absence", trigger="a", duration="10s")):
        await log.append(event("a"))
        for _ in range(150):
            await trio.sleep(0.1)
            log.post(event("other"))
            log.post(event("other"))
        assert len(await said(log)) == 1


async def test_a_rule_that_was_changed_begins_anew(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as log:
        async with living(log, r=rule("count", "a", threshold=2)):
            await log.append(event("a"))
        await log.append(event("a"))
        async with living(log, r=rule("count", "a", threshold=3)):
            ids = await log.append(event("a"), event("a"), event("a"))
        assert await causes(log) == [ids]
        assert status(log, Ref("EventRule", "r"))["fireCount"] == 1


async def test_a_memory_that_nobody_understands_is_given_up(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    spec = rule("count", "a", threshold=2)
    for wrong in ({"memory": {"keys": [{"key": "x", "state": 5}]}}, {"memory": 7}, {"colour": 1}):
        async with opened(tmp_path) as log:
            async with living(log, r=spec):
                await log.append(event("a"))
            consumer = log.consumers.get(consumer_of("r"))
            assert consumer is not None
            place = Consumed(consumer.cursor, {**consumer.state, **wrong})
            await log.append(consumed={consumer_of("r"): place})
            before = await causes(log)
            async with living(log, r=spec):
                ids = await log.append(event("a"), event("a"))
            assert (await causes(log))[len(before) :] == [ids]
    assert len(caplog.records) == 3


async def test_what_retention_took_is_counted(tmp_path: Path, autojump_clock: MockClock) -> None:
    spec = rule("any_of", "a")
    async with opened(tmp_path) as log:
        async with living(log, r=spec):
            pass
        await log.append(*[event("a") for _ in range(40)])
        while await log.prune(2**62, log.newest, 2**40):
            pass
        async with living(log, r=spec):
            await trio.sleep(0.01)
        assert await causes(log) == [(41,)]
        assert status(log, Ref("EventRule", "r"))["lostEvents"] == 39


async def test_a_place_that_leads_to_nothing_is_written_now_and_then(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_run, "SAVE_EVENTS", 10)

    def cursor() -> int:
        consumer = log.consumers.get(consumer_of("r"))
        assert consumer is not None
        return consumer.cursor

    async with opened(tmp_path) as log:
        async with living(log, r=rule("count", "a", threshold=1000)):
            began = cursor()
            await log.append(event("b"), event("a"))
            await trio.sleep(0.01)
            assert cursor() == began
            await log.append(*[event("b") for _ in range(12)])
            await trio.sleep(0.01)
            assert cursor() == log.newest
            await trio.sleep(rule_run.SAVE_SECONDS)
            await log.append(event("b"))
            await trio.sleep(0.01)
            assert cursor() == log.newest
            await log.append(event("b"))
        assert cursor() == log.newest  # at the end


async def test_a_wall_clock_that_is_set_makes_no_silence(tmp_path: Path, autojump_clock: MockClock) -> None:
    shift = 0

    def walked() -> int:
        return wall() + shift

    silent = rule("absence", trigger="a", expected="b", duration="10m")
    async with opened(tmp_path, walked) as log, living(log, silent=silent):
        await log.append(event("a"))
        await trio.sleep(60)
        shift = 3600 * NS
        await log.append(Event(STEP, attributes={"wallSeconds": "3600.000"}))
        await trio.sleep(500)
        assert await said(log) == []
        shift = -7200 * NS
        await log.append(Event(STEP, attributes={"wallSeconds": "-10800.000"}))
        await trio.sleep(45)
        assert len(await said(log)) == 1


STORIES = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.5, 3.0, 7.0, 9.0, 40.0]),
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from(["wan", "lte", None]),
        st.sampled_from(["", "", "", "restart", "flush"]),
    ),
    max_size=40,
)


@pytest.mark.parametrize("pattern", OPERATORS, ids=lambda pattern: pattern["operator"])
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=STORIES)
def test_history_would_have_said_the_same(
    tmp_path_factory: pytest.TempPathFactory, pattern: dict[str, Any], story: list[tuple[float, str, str | None, str]]
) -> None:
    place = tmp_path_factory.mktemp("log")
    spec = rule(**{"rate": 4, "interval": "30s", **pattern}, correlate_by="resource.name", attributes={"n": "${count}"})
    if pattern["operator"] == "throttle":
        spec = rule(**pattern, correlate_by="resource.name", attributes={"n": "${count}"})

    async def tell() -> None:
        async with opened(place) as log:
            rest = list(story)
            while rest:
                async with living(log, r=spec):
                    while rest:
                        pause, topic, name, what = rest.pop(0)
                        await trio.sleep(pause)
                        log.post(event(topic, name) if name else Event(topic))
                        if what == "flush":
                            await log.append(Event("x"))
                        if what == "restart":
                            break
            async with living(log, r=spec):
                await trio.sleep(100)
            live = [(s.event.causes, dict(s.event.attributes)) for s in await said(log)]
            history = await played(log, "r", spec, BEGAN * NS, 1000)
            assert live == [(hit.fired.inputs, dict(hit.fired.attributes)) for hit in history.hits]
            assert history.complete
            assert history.uncorrelated == status(log, Ref("EventRule", "r")).get("warningCount")

    trio.run(tell, clock=MockClock(autojump_threshold=0))


# DerivedEvent

UP = {"field": "${DHCPv4Client/wan.status.phase}", "equals": "Bound"}
UP_REF = Ref("DerivedEvent", "up")


async def set_phase(log: Log, phase: str) -> int:
    """Returns the id of the event that says so."""
    await log.append(status={WAN: {"phase": phase}})
    stored = log.objects.get(WAN)
    assert stored is not None
    await trio.sleep(0.001)
    return stored.version


async def test_a_derived_event_is_asserted_and_retracted(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as log:
        async with living(log, up=derived(UP)):
            assert status(log, UP_REF) == {
                "phase": "Inactive",
                "topic": "home.up",
                "asserted": False,
                "pendingTransition": "None",
            }
            bound, lost = await set_phase(log, "Bound"), await set_phase(log, "Lost")
        one, two = await said(log, "home.up.*")
        assert (one.event.topic, one.event.reason, one.event.causes) == (
            "home.up.asserted",
            "DerivedEventAsserted",
            (bound,),
        )
        assert (two.event.topic, two.event.reason, two.event.causes) == (
            "home.up.retracted",
            "DerivedEventRetracted",
            (lost,),
        )
        assert [s.event.attributes for s in (one, two)] == [{"asserted": "true"}, {"asserted": "false"}]
        assert one.event.resource == UP_REF
        assert one.event.source is not None
        assert one.event.source.kind == "routerd-derived"
        assert status(log, UP_REF)["phase"] == "Retracted"
        assert status(log, UP_REF).keys() >= {"lastAssertedAt", "lastRetractedAt"}


async def test_a_derived_event_goes_on_after_a_restart(tmp_path: Path, autojump_clock: MockClock) -> None:
    spec = derived(UP, hysteresis="30s")
    async with opened(tmp_path) as log, living(log, up=spec):
        await set_phase(log, "Bound")
        await trio.sleep(20)
        pending = status(log, UP_REF)
        assert (pending["phase"], pending["pendingTransition"]) == ("Pending", "Asserting")
        assert (pending["reason"], pending["message"]) == (
            "Hysteresis",
            "asserted if it is so for 30s without a break",
        )
    async with opened(tmp_path) as log, living(log, up=spec):
        assert status(log, UP_REF) == pending
        await trio.sleep(9.9)
        assert await said(log, "home.up.*") == []
        await trio.sleep(0.2)
        assert [s.event.topic for s in await said(log, "home.up.*")] == ["home.up.asserted"]
        assert status(log, UP_REF).keys().isdisjoint({"pendingSince", "reason", "message"})
    async with opened(tmp_path) as log:
        async with living(log, up=spec):
            await set_phase(log, "Lost")
            await trio.sleep(10)
            assert status(log, UP_REF)["pendingTransition"] == "Retracting"
            await set_phase(log, "Bound")
            await trio.sleep(100)
        assert len(await said(log, "home.up.*")) == 1


async def test_how_it_is_at_first_is_said_only_if_wanted(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as log:
        await set_phase(log, "Bound")
        async with living(log, up=derived(UP), loud=derived(UP, topic="home.loud", emitInitial=True)):
            await trio.sleep(1)
        assert [s.event.topic for s in await said(log, "home.**")] == ["home.loud.asserted"]
        assert status(log, UP_REF)["phase"] == "Asserted"
        async with living(log, up=derived(UP), loud=derived(UP, topic="home.loud", emitInitial=True)):
            await set_phase(log, "Lost")
        assert len(await said(log, "home.**")) == 3  # Not again, but both retracted.


@pytest.mark.parametrize("since", ["soon", "2023-11-14T22:13:20Z"])
async def test_a_status_that_nobody_understands(tmp_path: Path, autojump_clock: MockClock, since: str) -> None:
    async with opened(tmp_path) as log:
        strange = {"topic": "home.up", "asserted": False, "pendingSince": since, "pendingTransition": 7}
        await log.append(status={UP_REF: strange, WAN: {"phase": "Bound"}})
        async with living(log, up=derived(UP, hysteresis="30s")):
            await trio.sleep(31)
        assert [s.event.topic for s in await said(log, "home.up.*")] == ["home.up.asserted"]
