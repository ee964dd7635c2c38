"""`routerctl completion`: scripts for bash, zsh and fish, and the candidates that they ask for.

Kinds, names and topics are asked of the running routerd, for at most 150 ms, and in silence when it does not answer.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import pairwise

from routerctl.__main__ import COMPLETE, VERBS, module_of, options
from routerctl.client import Client, default_run_dir, entries, part
from routerctl.errors import Exit, Failure
from routerctl.explain import fields_of, kinds_of, type_of
from routerctl.formats import FORMATS
from routerctl.kinds import DAEMON_DIRECTORIES, canonical, reference
from routerctl.resources import listed, phase_of, reference_of
from routerctl.subjects import WORDS
from routerctl.words import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Container, Iterator
    from typing import Any

    from routerctl.output import Out

EXAMPLES = {
    "completion": """
  eval "$(routerctl completion bash)"                                 in ~/.bashrc
  routerctl completion zsh > "${fpath[1]}/_routerctl"                 once
  routerctl completion fish > ~/.config/fish/completions/routerctl.fish
"""
}
CAP = 0.15
"""Seconds for all that is asked of routerd while somebody waits for a word."""
PHASES = ("Pending", "Acquiring", "Bound", "Released", "Up", "Down", "Applied", "Error")

BASH = f"""\
# bash completion of routerctl
_routerctl() {{
    local line=${{COMP_LINE:0:COMP_POINT}} words found
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    found=$(routerctl {COMPLETE} -- "${{words[@]:1}}" 2>/dev/null | cut -f1)
    # bash replaces only what follows the last of its word breaks.
    local word=${{words[-1]}} keep
    keep=${{word%"${{word##*[=:]}}"}}
    COMPREPLY=()
    while IFS= read -r candidate; do
        [[ -n $candidate ]] && COMPREPLY+=("${{candidate#"$keep"}}")
    done <<< "$found"
    [[ ${{#COMPREPLY[@]}} -eq 1 && ${{COMPREPLY[0]}} == *[=/] ]] && compopt -o nospace
}}
complete -F _routerctl routerctl
"""
ZSH = f"""\
#compdef routerctl
_routerctl() {{
    local -a found
    local candidate
    for candidate in "${{(@f)$(routerctl {COMPLETE} -- "${{(@)words[2,CURRENT]}}" 2>/dev/null | cut -f1)}}"; do
        [[ -n $candidate ]] || continue
        if [[ $candidate == *[=/] ]]; then compadd -U -S '' -- "$candidate"; else compadd -U -- "$candidate"; fi
    done
}}
if [[ $funcstack[1] == _routerctl ]]; then _routerctl "$@"; else compdef _routerctl routerctl; fi
"""
FISH = f"""\
# fish completion of routerctl
function __routerctl_complete
    set -l words (commandline -opc) (commandline -ct)
    routerctl {COMPLETE} -- $words[2..-1] 2>/dev/null
end
complete -c routerctl -f -a '(__routerctl_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def arguments(verb: str, parser: ArgumentParser) -> None:
    """The shell."""
    parser.add_argument("shell", choices=sorted(SCRIPTS), help="which shell")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Print the script."""
    out.line(SCRIPTS[args.shell].rstrip("\n"))
    return Exit.OK


def complete(argv: list[str]) -> Exit:
    """Print `candidate TAB help` for the last of the words, which may be empty."""
    words = argv[1:] or [""]
    kind, slash, name = words[-1].partition("/")
    typed = (words[-1].lower(), f"{canonical(kind)}{slash}{name}".lower())
    try:
        for candidate, about in candidates(words[:-1], words[-1]):
            if candidate.lower().startswith(typed):
                sys.stdout.write(f"{clean(candidate)}\t{clean(about)}\n")
    except Failure:
        return Exit.UNREACHABLE  # Nobody reads it: a shell that completes words wants words or nothing.
    return Exit.OK


def candidates(before: list[str], word: str) -> Iterator[tuple[str, str]]:
    """What could stand after these words. Raises Failure."""
    flags = _Flags()
    options(flags)  # type: ignore[arg-type]
    plain = list(flags.operands(before))
    if plain and plain[0] in VERBS:
        flags = _Flags()
        module = module_of(plain[0])
        module.arguments(plain[0], flags)
        options(flags)  # type: ignore[arg-type]
        plain = list(flags.operands(before))
    name, equals, typed = word.partition("=")
    if before and flags.takes_value(before[-1]):
        yield from _values(flags.about[before[-1]], before, plain, word)
    elif equals and flags.takes_value(name):
        yield from ((f"{name}={value}", about) for value, about in _values(flags.about[name], before, plain, typed))
    elif word.startswith("-"):
        yield from ((name, str(about.get("help", ""))) for name, about in flags.about.items() if name.startswith("--"))
    elif not plain:
        yield from ((verb, line) for verb, (_, line) in VERBS.items())
    elif len(plain) <= len(flags.positional):
        yield from _values(flags.positional[len(plain) - 1], before, plain, word)


class _Flags:
    """Is told what argparse would be told of a verb's options, and knows what may follow which."""

    def __init__(self) -> None:
        self.about: dict[str, dict[str, Any]] = {}
        self.positional: list[dict[str, Any]] = []

    def add_argument(self, *names: str, **about: Any) -> None:
        if names[0].startswith("-"):
            self.about.update(dict.fromkeys(names, about))
        else:
            self.positional.append({"metavar": names[0], **about})

    def add_argument_group(self, title: str) -> _Flags:
        return self

    def add_mutually_exclusive_group(self) -> _Flags:
        return self

    def takes_value(self, word: str) -> bool:
        """Whether the next word belongs to this one."""
        return word in self.about and self.about[word].get("action") != "store_true"

    def operands(self, words: list[str]) -> Iterator[str]:
        """The words that are neither options nor their values."""
        for index, word in enumerate(words):
            if not word.startswith("-") and not (index and self.takes_value(words[index - 1])):
                yield word


def _values(about: dict[str, Any], before: list[str], plain: list[str], word: str) -> Iterator[tuple[str, str]]:
    if "choices" in about:
        yield from ((choice, "") for choice in about["choices"])
        return
    match about.get("metavar"):
        case "KIND/NAME" | "SUBJECT" as what:
            if what == "SUBJECT":
                yield from ((subject, "") for subject in WORDS)
            elif plain[0] == "wait":
                yield "routerd", "routerd itself"
            yield from _resources(before, only=DAEMON_DIRECTORIES if VERBS[plain[0]][0] == "command" else None)
        case "FORMAT":
            yield from ((form.removesuffix("PATH").removesuffix("TITLE:PATH,…"), "") for form in FORMATS)
        case "GLOB":
            yield from _topics(before)
        case "FILE":
            yield from _files(word)
        case "CONSUMER":
            found = entries(_client(before).get("/consumers", as_admin=True), "items")
            yield from ((str(one.get("name")), f"{one.get('lag')} behind") for one in found)
        case "GENERATION":
            yield from _generations(before)
        case "KIND[.FIELD]":
            yield from _fields(before, word)
        case "CONDITION":
            yield from _conditions(before, plain)


def _resources(before: list[str], only: Container[str] | None) -> Iterator[tuple[str, str]]:
    found = listed(_client(before), "resources")
    wanted = [one for one in found if only is None or one.get("kind") in only]
    yield from ((reference_of(one), phase_of(one)) for one in wanted)


def _files(word: str) -> Iterator[tuple[str, str]]:
    """What is in the folder that is typed so far; folders end in a slash, so that one can go on."""
    folder = word[: word.rfind("/") + 1]
    try:
        found = sorted(os.scandir(folder or "."), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in found:
        if not entry.name.startswith(".") or word[len(folder) :].startswith("."):
            yield folder + entry.name + ("/" if entry.is_dir() else ""), ""


def _generations(before: list[str]) -> Iterator[tuple[str, str]]:
    for item in entries(_client(before).get("/generations", as_admin=True), "items"):
        yield str(item.get("generation")), f"{item.get('phase') or ''} {item.get('actor') or ''}"


def _fields(before: list[str], word: str) -> Iterator[tuple[str, str]]:
    """Kinds, and behind a kind and a point its fields."""
    schema = _client(before).read("/schema.json")
    kinds = kinds_of(schema)
    kind = canonical(word.partition(".")[0])
    if "." not in word:
        yield from ((kind, "") for kind in kinds)
    elif kind in kinds:
        spec = part(fields_of(schema, kinds[kind]), "spec")
        yield from ((f"{kind}.spec.{name}", type_of(schema, field)) for name, field in fields_of(schema, spec).items())


def _topics(before: list[str]) -> Iterator[tuple[str, str]]:
    events = entries(_client(before).get("/events", [("tail", "1000")]), "events")
    topics = {str(event.get("topic")) for event in events}
    globs = {topic.rpartition(".")[0] + ".**" for topic in topics if "." in topic}
    yield from ((topic, "") for topic in sorted(topics | globs))


def _conditions(before: list[str], plain: list[str]) -> Iterator[tuple[str, str]]:
    if plain[1:] == ["routerd"]:
        yield "ready", "/readyz says so"
        return
    yield from (("deleted", "it is gone"), ("jsonpath=.status.", "a field has a value"))
    yield from ((f"phase={phase}", "") for phase in PHASES)
    for resource in listed(_client(before), reference(plain[1])) if len(plain) > 1 else ():
        for condition in entries(part(resource, "status"), "conditions"):
            yield f"condition={condition.get('type')}", f"now {condition.get('status')}"


def _client(before: list[str]) -> Client:
    """As the options typed so far say, and in a hurry."""
    said = {name: value for name, value in pairwise(before) if name in ("--run-dir", "--socket")}
    client = Client(said.get("--run-dir") or default_run_dir(), said.get("--socket", ""))
    client.patient = False
    client.deadline = time.monotonic() + CAP
    return client
