"""What goes to stderr, and so to the journal or syslog: events of the chosen level and above, and our own faults."""

from __future__ import annotations

import json
import logging
import sys
import time

from routerd.events.log import Log
from routerd.events.types import StoredEvent

logger = logging.getLogger("routerd.events")

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def open_logbook(level: str, form: str) -> None:
    """Set up the process's logging: `level` one of LEVELS, `form` `text` or `json`, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=LEVELS[level], handlers=[handler], force=True)
    for noisy in ("hypercorn", "quart", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


async def run_logbook(log: Log) -> None:
    """Copy events to the process's log as they come to disk, until cancelled."""
    cursor = log.newest
    while True:
        await log.wait(cursor)
        try:
            page = await log.read(cursor, limit=1000)
        except OSError as error:  # they are not in memory any more, and the disk is out of reach
            logger.warning("events %d to %d are not shown here: %s", cursor + 1, log.newest, error.strerror)
            cursor = log.newest
            continue
        for stored in page.events:
            _write(stored)
        cursor = page.cursor


def _write(stored: StoredEvent) -> None:
    event = stored.event
    about = f"{event.resource}: " if event.resource is not None else ""
    fields = {"event": stored.id, "topic": event.topic, "reason": event.reason, "attributes": dict(event.attributes)}
    words = event.message or event.reason
    logger.log(LEVELS[event.severity], "%s%s [%s]", about, words, event.topic, extra={"fields": fields})


class _Text(logging.Formatter):
    """For terminals, journals and people: what a peer sent can neither steer the terminal nor pass for another line. An
    event is one line; of what else has more (a traceback) the others are set off."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        lines = [text] if hasattr(record, "fields") else text.split("\n")
        return "\n  ".join(map(printable, lines))


def printable(text: str) -> str:
    """The text with escapes for what cannot be printed: controls, line ends, marks of direction, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)
