"""What the world does to a log file, told from what we do wrong ourselves."""

from __future__ import annotations

import sqlite3

import attrs


class LogVersionError(Exception):
    """The file was written by a newer routerd than this one. It is left as it is."""


class Corrupt(Exception):
    """The file is not, or no longer, a log of ours."""


@attrs.frozen
class Fault:
    """What the world did to us. `corrupt`: the file is of no more use, as opposed to out of reach for now."""

    text: str
    corrupt: bool = False


WORLD = (Corrupt, sqlite3.Error, UnicodeDecodeError, OSError)
"""What the world may do to a file. UnicodeDecodeError: an error message of SQLite that quotes garbage."""

_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}


def fault(error: Exception) -> Fault:
    """The fault behind one of WORLD. Raises it again when it is our own mistake."""
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        raise error
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return Fault(str(error), corrupt=not isinstance(error, OSError))
    # Our statements do not change: one that makes no sense to SQLite has met a schema that is no longer ours.
    return Fault(str(error), corrupt=code & 0xFF not in _PASSING)
