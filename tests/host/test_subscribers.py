"""Readers of a stream do not wait for each other."""

import pytest
import trio

from routerd.host.subscribers import Subscribers


async def test_a_reader_that_lags_gets_the_sum_and_then_what_follows() -> None:
    numbers: Subscribers[int] = Subscribers(sum, size=3)
    async with numbers.subscribe(100) as slow, numbers.subscribe() as quick:
        for number in (1, 2, 3, 4):
            numbers.publish(number)
            assert await quick.receive() == number
        assert [await slow.receive() for _ in range(2)] == [100 + 1 + 2 + 3, 4]
        with pytest.raises(trio.WouldBlock):
            slow.receive_nowait()


async def test_who_has_left_is_not_told() -> None:
    numbers: Subscribers[int] = Subscribers(sum, size=1)
    async with numbers.subscribe() as reader:
        await reader.aclose()
        numbers.publish(1)
        numbers.publish(2)
    numbers.publish(3)
    with pytest.raises(trio.ClosedResourceError):
        await reader.receive()
