"""The daemons that shall run, and those that do: `fit` makes the second equal to the first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

import attrs
import trio

Spec = TypeVar("Spec")
Member = TypeVar("Member")


@attrs.define
class _Running(Generic[Spec, Member]):
    spec: Spec
    member: Member
    scope: trio.CancelScope
    ended: trio.Event

    def serves(self, desired: Spec | None) -> bool:
        """Whether it is what is desired; one that a `fit` which was cut short has cancelled is not any more."""
        return self.spec == desired and not self.scope.cancel_called


class Fleet(Generic[Spec, Member]):
    """Runs one `member` per name, each in its own cancel scope of `nursery`. Specs compare by value."""

    def __init__(
        self,
        nursery: trio.Nursery,
        make: Callable[[str, Spec], Member],
        run: Callable[[Member], Awaitable[None]],
    ) -> None:
        self._nursery = nursery
        self._make = make
        self._run = run
        self._running: dict[str, _Running[Spec, Member]] = {}

    @property
    def members(self) -> Mapping[str, Member]:
        """Who runs now, by name."""
        return {name: running.member for name, running in self._running.items()}

    @property
    def specs(self) -> Mapping[str, Spec]:
        """What they were started with, by name."""
        return {name: running.spec for name, running in self._running.items()}

    async def fit(self, desired: Mapping[str, Spec]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Cancel what is gone or changed, wait for its goodbye, start what is new. Returns (ended, started)."""
        leaving = [name for name, running in self._running.items() if not running.serves(desired.get(name))]
        for name in leaving:
            self._running[name].scope.cancel()
        for name in leaving:
            await self._running[name].ended.wait()
            del self._running[name]
        starting = [name for name in desired if name not in self._running]
        for name in starting:
            self._start(name, desired[name])
        return tuple(leaving), tuple(starting)

    def _start(self, name: str, spec: Spec) -> None:
        running = _Running(spec, self._make(name, spec), trio.CancelScope(), trio.Event())
        self._running[name] = running
        self._nursery.start_soon(self._hold, running, name=f"daemon {name}")

    async def _hold(self, running: _Running[Spec, Member]) -> None:
        try:
            with running.scope:
                await self._run(running.member)
        finally:
            running.ended.set()
