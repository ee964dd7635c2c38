"""How the API says no: one shape of error for every status outside 2xx (contract rule 2), with a request id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import getrandbits
from time import time_ns

from routerd.api.wire import JSON, ConfigProblem, Error, ErrorDetail, encode


class Refusal(Exception):
    """The request ends here, with this status and error. `headers` go with it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        hint: str | None = None,
        oldest: str | None = None,
        line: int | None = None,
        column: int | None = None,
        errors: Sequence[ConfigProblem] | None = None,
        headers: Mapping[str, str] = {},
    ) -> None:
        super().__init__(message)
        self.status = status
        self.detail = ErrorDetail(message, code, field, line, column, hint, oldest, errors)
        self.headers = headers


def not_here(what: str) -> Refusal:
    """This version of routerd cannot."""
    return Refusal(501, "not-implemented", f"this version of routerd does not have {what}")


def encode_error(detail: ErrorDetail, request_id: str) -> bytes:
    """The body of an error."""
    return encode(Error(error=detail, request_id=request_id))


BEFORE_REQUEST = {
    400: ErrorDetail("this is not an HTTP/1.1 request", "http.malformed"),
    408: ErrorDetail("the request did not come in time", "http.timeout"),
    431: ErrorDetail("the request's head is too long", "http.head-too-long"),
    501: ErrorDetail("this transfer coding is not known here", "http.transfer-coding"),
    503: ErrorDetail("too many connections", "busy", hint="close some, or try again shortly"),
}


def refuse_connection(status: int) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """What a connection says that never became a request, or became one too many."""
    request_id = new_request_id()
    body = encode_error(BEFORE_REQUEST.get(status, BEFORE_REQUEST[400]), request_id)
    headers = {"content-type": JSON, "content-length": str(len(body)), "x-request-id": request_id}
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()], body


def new_request_id() -> str:
    """24 hexadecimal digits that sort by time: milliseconds, then chance. In answers, events and the log."""
    return f"{time_ns() // 1_000_000:012x}{getrandbits(48):012x}"
