"""The command `routerd`: the configuration, the choice of system, and then `trio.run`. Its flags are in `flags`."""

from __future__ import annotations

import argparse
import gc
import json
import linecache
import logging
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from routerd.failure import FAILED, USAGE, fail, hint_of, judge, words_of
from routerd.flags import DEMO, parser

if TYPE_CHECKING:
    from routerd.config import Router
    from routerd.nurseries.options import Options

DESCRIPTORS = 8192


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 ended in order, 1 failed, 2 used wrongly."""
    options = parser(_serve, _demo, _schema).parse_args(arguments)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return 130


def _serve(arguments: argparse.Namespace) -> int:
    router = _load(arguments.config, arguments.run_dir, arguments.log_format)
    if router is None and not arguments.check and _put_back(arguments.config.absolute(), arguments.state_dir):
        router = _load(arguments.config, arguments.run_dir, arguments.log_format)
    if router is None:
        return FAILED
    if arguments.check:
        print(f"{arguments.config}: {len(router.resources)} resources, no errors")
        return 0
    if arguments.host == "freebsd":
        return fail(
            "this version of routerd cannot drive a FreeBSD host",
            "--host simulated runs on every system; Linux hosts are driven by --host linux",
            USAGE,
        )
    if arguments.host == "linux" and not sys.platform.startswith("linux"):
        return fail(f"this is {sys.platform}, not Linux", "try --host simulated", USAGE)
    return _run(arguments, router)


def _demo(arguments: argparse.Namespace) -> int:
    from routerd.sim.demo import CONFIGURATION, greeting

    arguments.config = arguments.dir / "router.yaml"
    arguments.run_dir, arguments.state_dir = arguments.dir / "run", arguments.dir / "state"
    arguments.host = "simulated"
    try:
        arguments.dir.mkdir(parents=True, exist_ok=True)
        if not arguments.config.exists():
            arguments.config.write_text(CONFIGURATION)
    except OSError as error:
        return fail(words_of(error), "name another folder with --dir", FAILED)
    router = _load(arguments.config, arguments.run_dir, arguments.log_format)
    if router is None:
        return FAILED
    # The wrapper of a clone finds the sockets of `make demo` by itself, and only those.
    by_itself = Path("bin/routerctl").exists() and arguments.dir == DEMO
    routerctl = "bin/routerctl" if by_itself else f"routerctl --run-dir {arguments.run_dir}"
    code = _run(arguments, router, greeting(routerctl, str(arguments.config)))
    if code == 0:
        print(
            f"The demo has ended. Its lease and its log are in {arguments.state_dir}; it goes on with them next time."
        )
    return code


def _schema(arguments: argparse.Namespace) -> int:
    from routerd.config.schema import document_schema

    json.dump(document_schema(), sys.stdout, indent=2)
    print()
    return 0


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Modules leave little garbage, and to look for it every 700 objects is a tenth of the start."""
    thresholds = gc.get_threshold()
    gc.set_threshold(10_000, 50)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


@_seldom_collecting()
def _load(path: Path, run_dir: Path, form: str) -> Router | None:
    """The configuration, or None after every error of it was told on stderr."""
    from routerd.config import ConfigErrors, as_json, load, render
    from routerd.nurseries.families import unusable

    try:
        router = load(path.read_bytes(), str(path))
    except OSError as error:
        hint = "name another with --config; `make demo` needs none" if not path.exists() else "is it readable for you?"
        fail(f"cannot read {path}: {error.strerror}", hint, FAILED)
        return None
    except ConfigErrors as errors:
        print(json.dumps(as_json(errors)) if form == "json" else render(errors), file=sys.stderr)
        return None
    complaint = unusable(router, run_dir)
    if complaint is not None:
        fail(complaint, "choose a shorter --run-dir or resource name", FAILED)
        return None
    return router


def _put_back(config: Path, state_dir: Path) -> bool:
    """Whether a change was on trial, and what was before it is back in the place of a file that cannot be used."""
    from routerd.changes.canonical import Busy
    from routerd.changes.commit_rescue import rescue
    from routerd.nurseries.lock import AlreadyRunning, state_lock

    if not state_dir.is_dir():
        return False
    try:
        with state_lock(state_dir):
            rescued = rescue(config, state_dir.absolute())
    except (AlreadyRunning, Busy, OSError) as error:
        fail(f"what was before a change on trial cannot be put back: {words_of(error)}", "", FAILED)
        return False
    if rescued is None:
        return False
    words = f"generation {rescued.generation} was on trial: {config} holds generation {rescued.previous} again"
    fail(words, "" if rescued.aside is None else f"the faulty file is kept as {rescued.aside}", FAILED)
    return True


def _run(arguments: argparse.Namespace, router: Router, greeting: str = "") -> int:
    import trio

    from routerd.events.log import LogVersionError
    from routerd.nurseries.lock import AlreadyRunning, state_lock
    from routerd.nurseries.logbook import open_logbook
    from routerd.nurseries.options import Options

    os.umask(0o022)  # whoever started us: a folder that others may write is a way to have us write elsewhere
    open_logbook(arguments.log_level, arguments.log_format)
    _raise_descriptors()
    options = Options(arguments.config.absolute(), arguments.run_dir.absolute(), arguments.state_dir.absolute())
    try:
        for directory, flag in ((options.run_dir, "--run-dir"), (options.state_dir, "--state-dir")):
            if not _make_directory(directory, "--dir" if "dir" in arguments else flag):
                return FAILED
        linecache.clearcache()  # attrs leaves the source of every method there that it has made: 1.6 MB
        gc.freeze()  # what is loaded stays, and no collection has to go through it while the router runs
        with state_lock(options.state_dir):
            trio.run(_route, options, router, arguments.host, greeting)
    except AlreadyRunning as error:
        return fail(str(error), "stop it first, or give this one its own --state-dir and --run-dir", FAILED)
    except LogVersionError as error:
        return fail(str(error), "run the newer routerd again, or give this one its own --state-dir", FAILED)
    except OSError as error:
        return fail(words_of(error), hint_of(error), FAILED)
    except BaseExceptionGroup as group:
        return judge(group)
    return 0


def _raise_descriptors() -> None:
    """As many as the system lets us have, within reason: clients that watch must not take those of the protocols."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _make_directory(directory: Path, flag: str) -> bool:
    """Whether it is there now; if not, it was told why, and which flag names it. Of one that was there before and that
    others may write, the operator is told."""
    try:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        mode = directory.stat().st_mode
    except OSError as error:
        fail(f"cannot make {directory}: {error.strerror}", hint_of(error) or f"name another folder with {flag}", FAILED)
        return False
    if mode & 0o022:
        logging.getLogger("routerd").warning(
            "others may write %s, and so put files and sockets of theirs in the place of ours: chmod go-w %s",
            *(directory, directory),
        )
    return True


async def _route(options: Options, router: Router, host: str, greeting: str) -> None:
    from routerd.nurseries.root import run_router
    from routerd.nurseries.system import open_linux, open_simulated

    say = partial(print, flush=True)
    opening = open_linux() if host == "linux" else open_simulated(router, say)
    async with opening as system:
        await run_router(options, router, system, ready=partial(say, greeting) if greeting else lambda: None)


if __name__ == "__main__":
    sys.exit(main())
