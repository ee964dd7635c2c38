"""Everyone who reads a stream of notices. Nobody waits for anybody: who lags gets a summary of what it missed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import attrs
import trio

T = TypeVar("T")


@attrs.frozen(eq=False)
class _Subscriber(Generic[T]):
    sender: trio.MemorySendChannel[T]
    receiver: trio.MemoryReceiveChannel[T]


class Subscribers(Generic[T]):
    """Readers of a stream, each with its own buffer of `size` items.

    A full buffer is emptied and `summarise(missed)` put in its place, where `missed` is what the reader has not
    seen, the newest last. So no buffer grows, and a reader that was slow is told the present, not the past.
    """

    def __init__(self, summarise: Callable[[list[T]], T], size: int = 128) -> None:
        self._summarise = summarise
        self._size = size
        self._subscribers: list[_Subscriber[T]] = []

    def publish(self, item: T) -> None:
        """Tell everybody, without waiting."""
        for subscriber in self._subscribers:
            self._deliver(subscriber, item)

    @asynccontextmanager
    async def subscribe(self, *first: T) -> AsyncIterator[trio.MemoryReceiveChannel[T]]:
        """Items published from now on, after those of `first`."""
        subscriber = _Subscriber(*trio.open_memory_channel[T](self._size))
        for item in first:
            subscriber.sender.send_nowait(item)
        self._subscribers.append(subscriber)
        try:
            yield subscriber.receiver
        finally:
            self._subscribers.remove(subscriber)
            subscriber.sender.close()
            subscriber.receiver.close()

    def _deliver(self, subscriber: _Subscriber[T], item: T) -> None:
        try:
            subscriber.sender.send_nowait(item)
        except trio.WouldBlock:
            missed = [subscriber.receiver.receive_nowait() for _ in range(self._size)]
            subscriber.sender.send_nowait(self._summarise([*missed, item]))
        except trio.BrokenResourceError:
            return  # its reader closed the channel and is about to leave `subscribe`
