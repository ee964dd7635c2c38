"""`POST /confirm`: ends the trial of a change, or lengthens it."""

from __future__ import annotations

from quart.wrappers import Response

from routerd.api.body import body_of
from routerd.api.change import NotChanged, Terms
from routerd.api.operation import Call, answer
from routerd.api.refusal import Refusal
from routerd.api.wire import encode
from routerd.api.wire_changes import ConfirmRequest, ConfirmResult


async def post_confirm(call: Call) -> Response:
    """`POST /confirm`."""
    request = await body_of(call, ConfirmRequest)
    terms = Terms(call.client.actor, (call.act.began,), peer=call.client.attributes)
    commits = call.plane.commits
    try:
        if request.extend is None:
            made = await commits.confirm(request.token, terms)
        else:
            made = await commits.extend(request.token, request.extend, terms)
    except NotChanged as no:
        raise Refusal(409, "conflict", no.message, field=no.field, hint=no.hint or None) from None
    except OSError as error:
        words = f"it is on trial still: {error.strerror or error}"
        raise Refusal(503, "disk", words, hint="confirm it again once the disk can be written") from None
    call.act.led_to = (made.event_id,)
    result = ConfirmResult(generation=made.generation, confirmed=made.confirmed, confirm_by=made.confirm_by)
    return answer(encode(result))
