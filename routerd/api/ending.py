"""How it ends what somebody asked of the configuration: with an answer, or with a refusal that says what is wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TypeVar

from routerd.api.change import NotChanged
from routerd.api.operation import Call
from routerd.api.refusal import Refusal
from routerd.api.wire import ConfigProblem
from routerd.config import ConfigError, ConfigErrors, render

LONGEST = 600.0
"""Seconds that an answer is waited for: so many changes may have come before."""
STATUS = {"absent": 404, "conflict": 409, "stale": 412}
MOST_ERRORS = 100
"""Errors of one configuration in one answer."""

T = TypeVar("T")


async def ended(call: Call, work: Awaitable[T]) -> T:
    """What has been made of it. Raises Refusal."""
    made: list[T] = []
    with call.server.waiting(LONGEST):
        try:
            made.append(await work)
        except ConfigErrors as errors:
            raise refusal_of(errors) from None
        except NotChanged as no:
            raise _not_changed(no) from None
        except OSError as error:
            raise unwritable(error) from None
    if not made:
        raise Refusal(503, "stopping", "routerd is stopping, or has too much to do", hint="the events tell how it ends")
    return made[0]


def _not_changed(no: NotChanged) -> Refusal:
    found = None if no.errors is None else problems(no.errors)
    return Refusal(STATUS[no.why], no.why, no.message, field=no.field, hint=no.hint or None, errors=found)


def refusal_of(errors: ConfigErrors) -> Refusal:
    """A configuration that is faulty: the first of its errors, and all of them."""
    first, found = errors.errors[0], problems(errors)
    return Refusal(
        400,
        first.code,
        f"bad request: {words_of(errors)}",
        field=first.path or None,
        hint=first.hint or None,
        line=first.line,
        column=first.column,
        errors=found,
    )


def problems(errors: ConfigErrors) -> Sequence[ConfigProblem]:
    """Each error with its place, and as it is shown to people."""
    return [
        ConfigProblem(
            one.message,
            one.code,
            one.line,
            one.column,
            render([one]),
            one.source,
            one.resource or None,
            one.path or None,
            one.hint or None,
        )
        for one in errors.errors[:MOST_ERRORS]
    ]


def words_of(errors: ConfigErrors) -> str:
    """The first of them, in a line."""
    first: ConfigError = errors.errors[0]
    about = " ".join(filter(None, (first.resource, first.path)))
    more = f" (and {len(errors.errors) - 1} more)" if len(errors.errors) > 1 else ""
    return f"{first.source}:{first.line}:{first.column}: {f'{about}: ' if about else ''}{first.message}{more}"


def unwritable(error: OSError) -> Refusal:
    """The disk, or the system, will not have it."""
    where = f"{error.filename}: " if error.filename else ""
    words = f"{where}{error.strerror or error}; nothing is changed"
    return Refusal(503, "config.disk", words, hint="mend what the system complains of, then try again")
