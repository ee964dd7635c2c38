"""What the command line chose, and where things of the running router are."""

from __future__ import annotations

from pathlib import Path

import attrs


@attrs.frozen
class Options:
    """What the command line chose."""

    config: Path
    run_dir: Path
    state_dir: Path
    group: str = "routerd"
    gauge_interval: float = 1.0
    """Seconds between two looks at the event loop's lateness. A simulated year wants few of them."""

    @property
    def sockets(self) -> tuple[str, str]:
        """Paths of the main and of the status socket."""
        return str(self.run_dir / "routerd.sock"), str(self.run_dir / "routerd-status.sock")
