"""Cases as JSON, usable by any other implementation (docs/protocols.md, D9)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def cases(name: str) -> list[Any]:
    """The cases of one file as test parameters; `rule` and `polarity` of a case become its mark."""
    found = json.loads((HERE / f"{name}.json").read_text())["cases"]
    return [
        pytest.param(
            case,
            id=str(case.get("name", index)),
            marks=[pytest.mark.req(case["rule"], case["polarity"])] if "rule" in case else [],
        )
        for index, case in enumerate(found)
    ]
