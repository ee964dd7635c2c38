"""What /readyz tells of routerd itself, check by check."""

from __future__ import annotations

import json

from routerctl.client import entries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from routerctl.client import Client, Object


class Health:
    """`ready` or not, and the single checks: `name`, `status` (pass, fail), `detail`."""

    __slots__ = ("checks", "ready")

    def __init__(self, ready: bool, checks: list[Object]) -> None:
        self.ready = ready
        self.checks = checks

    @property
    def failing(self) -> list[Object]:
        """The checks that do not hold."""
        return [check for check in self.checks if check.get("status") != "pass"]


def readiness(client: Client) -> Health:
    """Ask /readyz: a 503 is an answer too. Raises Failure."""
    answer = client.fetch("/readyz", [("verbose", "true")])
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        body = None
    return Health(answer.status == 200, entries(body, "checks") if isinstance(body, dict) else [])
