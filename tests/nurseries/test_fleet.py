"""The fleet: what is gone or changed ends, with its goodbye; what is new starts; what is equal is left alone."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from routerd.nurseries.fleet import Fleet


class Recorder:
    """Makes members that note their life and take a while to say goodbye."""

    def __init__(self, goodbye: float = 0) -> None:
        self.lives: list[str] = []
        self._goodbye = goodbye

    def make(self, name: str, spec: int) -> str:
        return f"{name}{spec}"

    async def run(self, member: str) -> None:
        self.lives.append(f"+{member}")
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(self._goodbye)
            self.lives.append(f"-{member}")


async def test_fit_starts_ends_and_replaces(autojump_clock: MockClock) -> None:
    recorder = Recorder(goodbye=1)
    async with trio.open_nursery() as nursery:
        fleet = Fleet[int, str](nursery, recorder.make, recorder.run)
        assert await fleet.fit({"a": 1, "b": 1}) == ((), ("a", "b"))
        await trio.sleep(1)
        assert await fleet.fit({"a": 1, "b": 2, "c": 1}) == (("b",), ("b", "c"))
        await trio.sleep(1)
        assert fleet.members == {"a": "a1", "b": "b2", "c": "c1"}
        assert await fleet.fit({}) == (("a", "b", "c"), ())
        assert fleet.members == {}
        nursery.cancel_scope.cancel()
    assert sorted(recorder.lives[:2]) == ["+a1", "+b1"]
    assert recorder.lives[2] == "-b1", "the goodbye of the old one comes before the new one starts"
    assert sorted(recorder.lives[3:5]) == ["+b2", "+c1"]
    assert sorted(recorder.lives[5:]) == ["-a1", "-b2", "-c1"]


async def test_goodbyes_are_said_side_by_side(autojump_clock: MockClock) -> None:
    recorder = Recorder(goodbye=5)
    async with trio.open_nursery() as nursery:
        fleet = Fleet[int, str](nursery, recorder.make, recorder.run)
        await fleet.fit({str(n): 1 for n in range(50)})
        await trio.sleep(0.1)
        began = trio.current_time()
        await fleet.fit({})
        assert trio.current_time() - began == 5
        nursery.cancel_scope.cancel()


async def test_a_member_that_ended_by_itself_is_replaced_when_its_spec_changes(autojump_clock: MockClock) -> None:
    ended: list[str] = []

    async def run(member: str) -> None:
        await trio.lowlevel.checkpoint()
        ended.append(member)

    async with trio.open_nursery() as nursery:
        fleet = Fleet[int, str](nursery, lambda name, spec: f"{name}{spec}", run)
        await fleet.fit({"a": 1})
        await trio.sleep(1)
        await fleet.fit({"a": 2})
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert ended == ["a1", "a2"]
