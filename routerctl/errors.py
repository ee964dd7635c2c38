"""How routerctl fails: its exit codes, and how an error reads. Nothing here asks or prints anything."""

from __future__ import annotations

import enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Exit(enum.IntEnum):
    """The exit codes, for every verb (docs/routerctl.md is checked against MEANING)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    DENIED = 5
    UNREACHABLE = 6
    TIMEOUT = 7
    CONDITION = 8
    ROLLED_BACK = 9
    DEGRADED = 10
    CHANGES = 20
    INTERRUPTED = 130


MEANING = {
    Exit.OK: "done",
    Exit.FAILED: "it was tried and failed",
    Exit.USAGE: "the command line makes no sense",
    Exit.NOT_FOUND: "no such resource, kind or path",
    Exit.CONFLICT: "refused by the present state, or a precondition no longer holds",
    Exit.DENIED: "this user may not",
    Exit.UNREACHABLE: "routerd cannot be reached, or what answers is not routerd",
    Exit.TIMEOUT: "the time given was over first",
    Exit.CONDITION: "a condition failed (`wait --or-fail`), or `doctor` found a failure",
    Exit.ROLLED_BACK: "the change was rolled back",
    Exit.DEGRADED: "applied, but the router is degraded",
    Exit.CHANGES: "there are changes (`plan --exit-code`, `diff --exit-code`)",
    Exit.INTERRUPTED: "interrupted (Ctrl-C)",
}

BY_STATUS = {
    403: Exit.DENIED,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    410: Exit.CONFLICT,
    412: Exit.CONFLICT,
}
"""What an HTTP status means to a script; anything else that is not 2xx is FAILED."""
SPOKEN = {"GET /generations": "routerctl generations", "GET /consumers": "routerctl get consumers"}
"""What a hint of the API's is on the command line."""
AWAY = ("", "stopping", "busy", "log.unreadable")
"""The words of a 503 of which routerd itself is the trouble, and that passes: as good as not reached. With any other,
as of a full disk, it was reached, and tried."""


class Failure(Exception):
    """The verb ends here: `code` is the exit code. `where` is `file:line:column`, `word` the API's error code,
    `request` the id under which routerd's log knows the request, `status` the HTTP status if there was one, `oldest`
    with 410 the cursor from which events can still be read. `excerpts`: what is wrong with a configuration, error by
    error, instead of one message."""

    def __init__(
        self,
        code: Exit,
        message: str,
        hint: str = "",
        *,
        where: str = "",
        word: str = "",
        request: str = "",
        status: int = 0,
        oldest: str = "",
        excerpts: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.where = where
        self.word = word
        self.request = request
        self.status = status
        self.oldest = oldest
        self.excerpts = excerpts

    def lines(self) -> list[str]:
        """As the operator reads it: `error[word]: message`, `  --> where`, `help: hint`, `request id`."""
        if self.excerpts:
            return self._listed()
        shown = [f"error[{self.word}]: {self.message}" if self.word else f"error: {self.message}"]
        shown += [f"  --> {self.where}"] if self.where else []
        shown += [f"help: {self.hint}"] if self.hint and self.hint not in self.message else []
        return shown + ([f"request {self.request}"] if self.request else [])

    def _listed(self) -> list[str]:
        """Every error of a configuration, and below the last one how many, and that nothing came of it."""
        count = len(self.excerpts)
        tail = f"{count} error{'s' if count > 1 else ''}, nothing changed"
        tail = f"request {self.request}; {tail}" if self.request else tail
        lines = [line for excerpt in self.excerpts for line in ("", *excerpt.splitlines())][1:]
        if count == 1 and lines[-1].startswith("help: "):
            return [*lines[:-1], f"{lines[-1]}     {tail}"]
        return [*lines, "", tail]


class Declined(Failure):
    """It was asked, and the answer was a no: it ends here, and nothing is wrong."""

    def lines(self) -> list[str]:
        """Its message alone."""
        return [self.message]


def refusal(status: int, body: Any) -> Failure:
    """The Failure that an answer outside 2xx stands for. `body`: the decoded JSON, whatever it is (contract rule 2).
    What `get` does not find is 400 on the wire, and not found all the same."""
    body = body if isinstance(body, dict) else {}
    error = body.get("error")
    error = error if isinstance(error, dict) else {"message": error or body.get("message")}
    place = [str(error[key]) for key in ("line", "column") if error.get(key) is not None]
    field, message = str(error.get("field") or ""), str(error.get("message") or f"routerd answered HTTP {status}")
    return Failure(
        _exit_of(status, str(error.get("code") or ""), message),
        f"{field}: {message}" if "." in field and field not in message else message.removeprefix("bad request: "),
        _spoken(str(error.get("hint") or "")),
        where=":".join([str(error.get("file") or "line"), *place]) if place else "",
        word=str(error.get("code") or ""),
        request=str(body.get("requestId") or ""),
        status=status,
        oldest=str(error.get("oldest") or ""),
        excerpts=excerpts_of(error),
    )


def _spoken(hint: str) -> str:
    for path, words in SPOKEN.items():
        hint = hint.replace(path, words)
    return hint


def _exit_of(status: int, word: str, message: str) -> Exit:
    if status == 503 and word in AWAY:
        return Exit.UNREACHABLE
    absent = status == 400 and message.startswith("bad request: ") and message.endswith(" not found")
    return Exit.NOT_FOUND if absent else BY_STATUS.get(status, Exit.FAILED)


def excerpts_of(answer: Any) -> list[str]:
    """The errors of a configuration that an answer lists under `errors`, each as it is to be read."""
    errors = answer.get("errors")
    listed = [one for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []
    return [str(one.get("excerpt") or "\n".join(refusal(400, {"error": one}).lines())) for one in listed]
