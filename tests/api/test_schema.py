"""The description of the interface: valid, complete, kept to, and open to whom it should be."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver, reverse
from openapi_spec_validator import validate

from scoring.api.schema import schema
from tests.api import fuzz
from tests.api.world import Program, World


def test_the_description_is_valid_openapi(here: World, program: Program) -> None:
    answer = program.get("/api/schema/")
    assert answer.status_code == 200
    validate(json.loads(answer.content))


def test_every_address_is_described() -> None:
    ours = {name for name in get_resolver().reverse_dict if isinstance(name, str) and name.startswith("api_")}
    assert len(schema()["paths"]) == len(ours) - 2  # the page and the description itself
    for operations in schema()["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            assert "Scope: " in operation["description"]
            assert operation["security"] == [{"token": []}]


def test_who_may_read_it(here: World, client: Client, carol: Any, bob: Any) -> None:
    where = reverse("api_schema")
    assert client.get(where).status_code == 401
    client.force_login(carol)
    assert client.get(where).status_code == 403
    client.force_login(bob)
    assert client.get(where).status_code == 200
    page = client.get(reverse("api_reference")).content.decode()
    for path in schema()["paths"]:
        assert path in page


def test_generated_requests_bring_no_5xx(here: World) -> None:
    """A small part of what `python -m tests.api.fuzz` sends."""
    with fuzz.unlimited():
        seen = fuzz.campaign(here, 150)
    assert sum(seen.values()) >= 150
    assert {status // 100 for _method, _name, status in seen} == {2, 4}


@pytest.mark.parametrize("status", [500, 302, 418])
def test_the_check_of_the_fuzzer_can_fail(status: int) -> None:
    class Answer:
        status_code, content = status, b"{}"

    with pytest.raises(AssertionError):
        fuzz.check(Answer(), schema()["paths"]["/api/v1/jobs/"]["get"], schema())
