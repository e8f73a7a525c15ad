"""Tokens: who makes them, what they open, and when they no longer do."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from scoring.api.access import PerMinute
from tests.api.world import Program, World, scoped
from webapp.accounts import tokens
from webapp.accounts.models import ApiToken, Scope, User


def test_a_token_made_on_the_page_opens_the_interface(client: Client, bob: Any) -> None:
    client.force_login(bob)
    answer = client.post(reverse("tokens"), {"name": "My script", "scopes": ["read"], "last_day": date.today()})
    found = re.search(r'id="token">(editloop_[\w-]{43})<', answer.content.decode())
    assert found
    assert "no-store" in answer["Cache-Control"]
    assert Program(found[1]).get("datasets/").status_code == 200
    row = ApiToken.objects.get()
    assert found[1] not in str(vars(row))
    assert row.last_used_at
    page = client.get(reverse("tokens")).content.decode()
    assert found[1] not in page
    assert row.hint in page
    client.post(reverse("revoke_token", args=[row.uid]))
    answer = Program(found[1]).get("datasets/")
    assert answer.status_code == 401
    assert "revoked" in answer.json()["error"]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"scopes": []}, "at least one"),
        ({"scopes": ["root"]}, "at least one"),
        ({"last_day": date(2020, 1, 1)}, "over already"),
    ],
)
def test_a_token_that_is_not_made(bob: Any, values: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        tokens.make_token(by=bob, **{"name": "N", "scopes": ["read"], **values})
    assert not ApiToken.objects.exists()


def test_annotators_have_no_tokens(carol: Any) -> None:
    with pytest.raises(PermissionDenied):
        tokens.make_token(by=carol, name="N", scopes=["read"])


def test_there_is_an_end_to_how_many(bob: Any) -> None:
    for number in range(tokens.MOST):
        first, _text = tokens.make_token(by=bob, name=str(number), scopes=["read"])
    with pytest.raises(ValidationError, match="Revoke one"):
        tokens.make_token(by=bob, name="N", scopes=["read"])
    tokens.revoke(token=first)
    tokens.make_token(by=bob, name="N", scopes=["read"])


def test_nobody_revokes_another_s(client: Client, here: World, person: Callable[..., Any]) -> None:
    client.force_login(person("eve", "admin"))
    row = ApiToken.objects.get(user=here.engineer)
    assert client.post(reverse("revoke_token", args=[row.uid])).status_code == 404
    assert "all" not in [token.name for token in client.get(reverse("tokens")).context["page"].rows]


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer x", "Bearer é", "Basic Ym9iOng=", "Bearer editloop_" + "a" * 43]
)
def test_no_token_no_answer(here: World, header: str) -> None:
    answer = Client().get("/api/v1/datasets/", headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert "page Tokens" in answer.json()["error"]


def test_a_session_is_no_token(here: World) -> None:
    """A page elsewhere could otherwise make a signed-in browser write."""
    client = Client()
    client.force_login(here.engineer)
    assert client.get("/api/v1/datasets/").status_code == 401


@pytest.mark.parametrize(
    ("change", "status"), [({"role": "annotator"}, 403), ({"is_active": False}, 401), ({"role": "admin"}, 200)]
)
def test_the_owner_s_role_counts_at_each_request(
    here: World, program: Program, change: dict[str, Any], status: int
) -> None:
    User.objects.filter(pk=here.engineer.pk).update(**change)
    assert program.get("datasets/").status_code == status


def test_a_token_ends(here: World, program: Program) -> None:
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    answer = program.get("datasets/")
    assert (answer.status_code, "last day is over" in answer.json()["error"]) == (401, True)


REQUESTS = [
    (Scope.READ, "GET", "studies/"),
    (Scope.READ, "GET", "jobs/"),
    (Scope.STUDIES, "POST", "studies/"),
    (Scope.STUDIES, "PATCH", "studies/{study}/"),
    (Scope.STUDIES, "POST", "studies/{study}/members/"),
    (Scope.STUDIES, "DELETE", "studies/{study}/members/{member}/"),
    (Scope.EXPORTS, "GET", "exports/"),
    (Scope.EXPORTS, "POST", "studies/{study}/exports/"),
    (Scope.JOBS, "POST", "jobs/{job}/cancel/"),
]


@pytest.mark.parametrize(("scope", "method", "path"), REQUESTS)
def test_a_scope_opens_its_own_alone(here: World, scope: str, method: str, path: str) -> None:
    where = path.format(study=here.study.uid, member=here.member.uid, job=here.job.uid)
    others = [name for name in Scope.values if name != scope]
    answer = scoped(here.engineer, *others).send(method, where, body={})
    assert answer.status_code == 403
    assert scope in answer.json()["error"]
    assert scoped(here.engineer, scope).send(method, where, body={}).status_code in (200, 202, 204, 400)


@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for scope, method, path in REQUESTS if "{" in path and "exports" not in path]
)
def test_what_belongs_to_others_is_not_changed(here: World, person: Callable[..., Any], method: str, path: str) -> None:
    where = path.format(study=here.study.uid, member=here.member.uid, job=here.job.uid)
    answer = scoped(person("eve", "engineer"), *Scope.values).send(method, where, body={"state": "closed"})
    assert answer.status_code == 403
    assert "somebody else" in answer.json()["error"]
    here.study.refresh_from_db()
    assert here.study.state == "open"
    assert here.study.members.count() == 1


def test_too_many_requests(here: World, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PerMinute, "reads", 2)
    monkeypatch.setattr("scoring.api.access.time.time", lambda: 90.0)
    assert [program.get("jobs/").status_code for _time in range(3)] == [200, 200, 429]
    answer = program.get("jobs/")
    assert answer["Retry-After"] == "30"
    assert "30 seconds" in answer.json()["error"]
    assert program.send("POST", f"jobs/{here.job.uid}/cancel/").status_code == 202  # writes are counted apart


def test_redis_away_is_no_refusal(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    import redis

    def away(*_arguments: Any, **_options: Any) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr("scoring.api.access.cache.add", away)
    assert program.get("jobs/").status_code == 200
