"""Schemathesis reads the OpenAPI document that a running routerd serves, and asks whatever that allows and much that it
does not: there is no 500, and no answer that the document does not have."""

from __future__ import annotations

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.outside.conftest import SOCKETS
from tests.outside.session import BASE_URL, session
from tests.router.process import Process


def no_defect(ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case) -> None:
    """500 is documented, as what must not be. (501 and 503 are answers.)"""
    assert response.status_code != 500, response.text


EXAMPLES = int(os.environ.get("ROUTERD_SCHEMATHESIS_EXAMPLES", "25"))
"""Of each operation. More of them: `ROUTERD_SCHEMATHESIS_EXAMPLES=1000 make test`."""
CHECKS = [no_defect, status_code_conformance, content_type_conformance, response_schema_conformance]
SLOW = list(HealthCheck)
PATIENT = ("wait",)
"""Parameters by which an answer is held back: here nobody waits."""


@pytest.mark.parametrize(("door", "name"), SOCKETS)
def test_every_answer_is_documented(lasting: Process, door: str, name: str) -> None:
    with session(lasting.run_dir / f"{name}.sock") as client:
        schema = schemathesis.openapi.from_dict(client.get(f"{BASE_URL}/openapi.json").json()).include(tag=door)
        operations = [result.ok() for result in schema.get_all_operations()]
        assert len(operations) > 3
        for operation in operations:

            @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=SLOW)
            @given(case=operation.as_strategy())
            def ask(case: schemathesis.Case) -> None:
                for held_back in PATIENT:
                    case.query.pop(held_back, None)
                case.call_and_validate(base_url=BASE_URL, session=client, checks=CHECKS, timeout=30)

            ask()
    assert lasting.popen is not None and lasting.popen.poll() is None, lasting.log
    assert "Traceback" not in lasting.log
