"""A file that was broken by hand while a change was on trial: routerd could not start with it, and nobody would go
back.

So before the start the configuration of before the trial takes its place. What stood there is kept for people. The
event is told by the keeper, when it finds that the trial is over. Everything here blocks.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from routerd.changes import commit_file
from routerd.changes.canonical import Canonical, write_private
from routerd.changes.commit import Revert
from routerd.changes.commit_file import Kept, Torn
from routerd.config import ConfigErrors, load

ASIDE = "faulty-configuration.yaml"


@attrs.frozen
class Rescued:
    """The generation that was on trial, the one whose configuration is back, and where the faulty file is (None: there
    was none)."""

    generation: int
    previous: int
    aside: Path | None


def rescue(config: Path, state_dir: Path) -> Rescued | None:
    """Put back what was in force before the change on trial; None when there is nothing that could be put back. To be
    called when `config` cannot be put in force, by whoever holds the state directory's lock. Raises OSError, Busy."""
    path = commit_file.path_in(state_dir)
    kept = _kept(path, config)
    if kept is None or kept.previous_octets is None:
        return None
    canonical = Canonical(config)
    with canonical.held():
        octets = canonical.read()
        aside = None if octets is None else state_dir / ASIDE
        if octets is not None and aside is not None:
            write_private(aside, octets)
        where = "was gone" if aside is None else f"was faulty, and is kept as {aside}"
        revert = Revert("FileFaulty", f"routerd was started, and {config} {where}")
        commit_file.save(path, attrs.evolve(kept, going_back=revert))
        canonical.replace(kept.previous_octets, octets)
    return Rescued(kept.generation, kept.previous, aside)


def _kept(path: Path, config: Path) -> Kept | None:
    """The change on trial in this file, if what was before it is a configuration still."""
    try:
        kept = commit_file.load(path)
        if kept is None or kept.path != str(config) or kept.previous_octets is None:
            return None
        load(kept.previous_octets, kept.path)
    except (Torn, ConfigErrors):
        return None
    return kept
