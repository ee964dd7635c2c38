"""Server-sent events, as a browser would have them."""

from __future__ import annotations

import json

from tests.api.client import Answer, Session

STREAM = {"Accept": "text/event-stream"}


class Stream:
    """The events of one answer."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.last_id = ""
        self._text = ""

    async def begin(self, target: str, **headers: str) -> Answer:
        await self.session.begin(
            target, headers=STREAM | {key.replace("_", "-"): value for key, value in headers.items()}
        )
        return await self.session.head()

    async def block(self) -> dict[str, str]:
        """The next block of lines as fields; a comment is under "". Empty at the end of the stream."""
        while "\n\n" not in self._text:
            piece = await self.session.piece()
            if not piece:
                return {}
            self._text += piece.decode()
        block, self._text = self._text.split("\n\n", 1)
        fields = dict(line.split(": ", 1) if not line.startswith(":") else ("", line[2:]) for line in block.split("\n"))
        self.last_id = fields.get("id", self.last_id)
        return fields

    async def next(self) -> dict[str, object]:
        """The data of the next event."""
        while "data" not in (fields := await self.block()):
            assert fields, "the stream ended"
        found: dict[str, object] = json.loads(fields["data"])
        return found
