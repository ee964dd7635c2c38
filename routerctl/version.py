"""`routerctl version`: of this client, and of the routerd that answers."""

from __future__ import annotations

from routerctl import __version__
from routerctl.client import part
from routerctl.errors import Exit, Failure
from routerctl.words import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from routerctl.client import Client
    from routerctl.output import Out

EXAMPLES = {
    "version": """
  routerctl version              this client and the running routerd
  routerctl version --client     without asking routerd
"""
}


def arguments(verb: str, parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--client", action="store_true", help="only this client's")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """The client's first, so that it stands there even when routerd cannot be reached."""
    versions: dict[str, str] = {"client": __version__}
    unreached = None
    if not args.client:
        try:
            versions["server"] = str(part(client.read("/openapi.json"), "info").get("version") or "unknown")
        except Failure as failure:
            unreached = failure
    if out.form == "table":
        for key, version in versions.items():
            out.line(clean(f"{key}: {version}"))
    else:
        out.one(versions, "Version/routerctl")
    if unreached is not None:
        raise unreached
    return Exit.OK
