"""Time on Linux: CLOCK_BOOTTIME, and a timerfd that tells when the wall clock was set or the host woke up.

`timerfd_create(2)` with TFD_TIMER_CANCEL_ON_SET is cancelled by clock_settime, leap seconds and resume. What
happened is then read off the clocks: realtime against boottime moves only when somebody sets the clock (NTP slews
both alike), boottime against monotonic only while the host sleeps.
"""

from __future__ import annotations

import ctypes
import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

import attrs
import trio

from routerd.host import ClockStep
from routerd.host.steps import Steps

TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET = 0x1, 0x2
_FAR = min(1 << 33, (1 << 8 * ctypes.sizeof(ctypes.c_long) - 1) - 1)
"""Seconds since 1970, as late as time_t can say up to the year 2242: the timer is not meant to expire."""

_SLACK = 1e-3
"""Seconds that reading three clocks one after the other may take and that are no step."""


@attrs.frozen
class Reading:
    """Three clocks at one moment, ns."""

    wall: int
    boot: int
    monotonic: int

    def since(self, before: Reading) -> ClockStep:
        """What happened to the clocks between two readings."""
        wall = (self.wall - self.boot) - (before.wall - before.boot)
        suspended = (self.boot - self.monotonic) - (before.boot - before.monotonic)
        return ClockStep(*(0.0 if abs(ns) < _SLACK * 1e9 else ns / 1e9 for ns in (wall, suspended)))


def read() -> Reading:
    """The clocks now."""
    return Reading(time.time_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.monotonic_ns())


class LinuxClock:
    """`routerd.host.Clock`. Needs `watch_steps` to run. `readings` is for tests that cannot set the clock."""

    def __init__(self, readings: Callable[[], Reading] = read) -> None:
        self.boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._readings = readings
        self._last = readings()
        self._steps = Steps(self.now)

    def now(self) -> float:
        """Seconds since boot, suspend included."""
        return self._readings().boot / 1e9

    def wall(self) -> int:
        """Nanoseconds since 1970."""
        return self._readings().wall

    async def sleep_until(self, deadline: float) -> None:
        """See `Clock`."""
        await self._steps.sleep_until(deadline)

    def steps(self) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[ClockStep]]:
        """See `Clock`."""
        return self._steps.subscribe()

    async def watch_steps(self) -> None:
        """Tell of steps and wake sleepers, for ever."""
        with _open_timer() as timer:
            while True:
                await trio.lowlevel.wait_readable(timer)
                _rearm(timer)
                self.look()  # after it, so that no step falls between

    def look(self) -> None:
        """Tell what happened to the clocks since the last look, if anything did."""
        last, self._last = self._last, self._readings()
        self._steps.tell(self._last.since(last))


class _ItimerSpec(ctypes.Structure):
    """struct itimerspec: interval and value, each seconds and nanoseconds."""

    _fields_ = [(name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns")]


@contextmanager
def _open_timer() -> Iterator[int]:
    """A timerfd that becomes readable when the wall clock is set (os.timerfd_create is only in Python 3.13)."""
    libc = ctypes.CDLL(None, use_errno=True)
    timer = libc.timerfd_create(time.CLOCK_REALTIME, os.O_CLOEXEC | os.O_NONBLOCK)
    if timer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "timerfd_create")
    try:
        _arm(timer)
        yield timer
    finally:
        os.close(timer)


def _rearm(timer: int) -> None:
    try:
        os.read(timer, 8)
    except BlockingIOError:
        return  # somebody woke us for nothing
    except OSError as error:
        if error.errno != errno.ECANCELED:
            raise
    _arm(timer)


def _arm(timer: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    far = _ItimerSpec(value_s=_FAR)
    if libc.timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, ctypes.byref(far), None) != 0:
        number = ctypes.get_errno()
        if number != errno.ECANCELED:  # that is: armed, and the clock was set meanwhile; the reading comes after
            raise OSError(number, os.strerror(number), "timerfd_settime")
