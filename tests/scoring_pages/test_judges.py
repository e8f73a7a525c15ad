"""Judges: made, seen, deleted; what their page counts; what is refused."""

import html
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import Candidate
from scoring.asking.backends import backend
from scoring.models import Judge
from tests import judging
from tests.scoring_pages import make
from tests.scoring_pages.make import plain  # noqa: F401
from webapp.accounts.models import User
from webapp.endpoints.models import Endpoint
from webapp.endpoints.services import save_endpoint
from webapp.jobs import services as jobs

KEY = "sk-secret-of-the-service"
VALUES = {"name": "Plain one", "passes": "3", "set-level": "2", "set-word": ""}


@pytest.fixture
def browser(bob: User, plain: Any, settings: Any) -> Client:
    settings.PRIVATE_ENDPOINTS = True
    client = Client()
    client.force_login(bob)
    return client


def endpoint(kind: str = "chat", slug: str = "service") -> Endpoint:
    made = Endpoint(slug=slug, name="Service", kind=kind, base_url="http://127.0.0.1:9/v1", model="m")
    return save_endpoint(endpoint=made, key=KEY)


def text_of(answer: Any) -> str:
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def make_judge(client: Client, kind: str = "plain", **values: str) -> Any:
    return client.post(reverse("new_judge", args=[kind]), VALUES | values)


def test_a_judge_is_made_and_seen(browser: Client, bob: User) -> None:
    answer = make_judge(browser)
    made = Judge.objects.get()
    assert answer["Location"] == reverse("judge", args=["plain-one"]) == made.get_absolute_url()
    assert (made.kind, made.settings, made.passes, made.created_by) == ("plain", {"level": 2}, 3, bob)
    assert made.notice == "Test judge."
    listed = text_of(browser.get(reverse("judges")))
    assert "level 2, 3 passes" in listed
    assert 'badge demo">Test judge.' in listed
    page = text_of(browser.get(made.get_absolute_url()))
    assert '"level": 2' in page
    assert "scored nothing yet" in page
    assert "Delete" in page


def test_an_endpoint_judge_keeps_the_endpoint_by_name_and_shows_no_key(browser: Client) -> None:
    found = endpoint()
    new = text_of(browser.get(reverse("new_judge", args=["endpoint"])))
    assert "Service" in new
    values = {"set-endpoint": "service", "set-temperature": "0.5", "set-max_tokens": "800"}
    assert make_judge(browser, "endpoint", **values).status_code == 302
    made = Judge.objects.get()
    asked = {"endpoint": "service", "temperature": 0.5, "max_tokens": 800, "logprobs": False}
    assert made.settings == {**asked, "endpoint_address": "http://127.0.0.1:9/v1", "endpoint_model": "m"}
    pages = [new, text_of(browser.get(reverse("judges"))), text_of(browser.get(made.get_absolute_url()))]
    assert not any(KEY in page or found.key_encrypted in page for page in pages)


def test_an_endpoint_that_edits_images_is_refused(browser: Client) -> None:
    endpoint("images")
    values = {"set-endpoint": "service", "set-temperature": "0", "set-max_tokens": "800"}
    assert "service is not one of the available choices" in text_of(make_judge(browser, "endpoint", **values))
    assert Judge.objects.count() == 0


def test_without_an_endpoint_the_page_says_who_makes_one(browser: Client) -> None:
    page = text_of(browser.get(reverse("new_judge", args=["endpoint"])))
    assert "There is nothing to choose for “Endpoint” yet." in page


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "…"}, "at least one Latin letter or digit"),
        ({"name": "Taken"}, "a judge of this name already"),
        ({"passes": "0"}, "greater than or equal to 1"),
        ({"passes": "33"}, "less than or equal to 32"),
        ({"set-level": "10"}, "less than or equal to 9"),
        ({"set-level": ""}, "This field is required"),
    ],
)
def test_a_wrong_form_makes_no_judge(browser: Client, values: dict[str, str], words: str) -> None:
    make.judge("taken")
    assert words in text_of(make_judge(browser, **values))
    assert Judge.objects.count() == 1


def test_a_kind_that_is_not_there_is_no_page(browser: Client) -> None:
    assert browser.get(reverse("new_judge", args=["nonsense"])).status_code == 404


def test_a_judge_whose_kind_is_gone_is_still_shown(browser: Client) -> None:
    old = Judge.objects.create(slug="old", name="Old", kind="gone")
    assert "not there" in text_of(browser.get(reverse("judges")))
    assert "no judges of the kind “gone”" in text_of(browser.get(old.get_absolute_url()))


# What it did ---------------------------------------------------------------------------------------------------------


def test_the_page_counts_what_the_judge_did(browser: Client, bob: User) -> None:
    judge, other = make.judge("eye"), make.judge("other")
    version = make.version()
    rows = list(Candidate.objects.filter(case__dataset=judging.dataset(cases=2, editors=2)))
    for candidate, (value, status) in zip(
        rows, [(4, ""), (5, "repaired"), (None, "refused"), (None, "failed")], strict=True
    ):
        make.give(candidate, version, judge, value, status)
    make.give(rows[0], version, other, 1)
    job = jobs.start(kind="score-service", title="The scoring", config={}, by=bob)
    for seconds, cost in ((1.0, 0.25), (2.0, 0.5)):
        make.answer(judge, seconds=seconds, cost=cost, job=job)
    make.answer(judge, seconds=6.0, cost=None, status="failed", kind="timeout", job=job)
    make.answer(other, seconds=9.0, cost=9.0)
    page = text_of(browser.get(judge.get_absolute_url()))
    cells = '<td class="num">2</td><td class="num">1</td><td class="num">0</td><td class="num">1</td>'
    assert cells in page  # scores, refused, filtered, failed
    assert "<dd>3.00</dd>" in page  # latency
    assert "<dd>0.7500</dd>" in page
    assert "of 2 answers; of the others it is not known" in page
    assert "<td>timeout</td>" in page
    assert '<td class="num">3</td><td class="num">3.00</td><td class="num">0.7500</td>' in page  # of the job


# Deleting ------------------------------------------------------------------------------------------------------------


def delete(client: Client, judge: Judge) -> Any:
    return client.post(reverse("delete_judge", args=[judge.slug]), follow=True)


def test_the_owner_deletes(browser: Client, bob: User) -> None:
    judge = make.judge(created_by=bob)
    assert "The judge was deleted." in text_of(delete(browser, judge))
    assert Judge.objects.count() == 0


def test_a_judge_of_the_name_new_can_be_deleted(browser: Client, bob: User) -> None:
    assert "The judge was deleted." in text_of(delete(browser, make.judge("new", created_by=bob)))


def test_an_admin_deletes_what_others_made(client: Client, alice: User, bob: User) -> None:
    client.force_login(alice)
    assert delete(client, make.judge(created_by=bob)).status_code == 200
    assert Judge.objects.count() == 0


@pytest.mark.parametrize("owner", ["alice", None])
def test_others_do_not_delete(browser: Client, owner: str | None, request: pytest.FixtureRequest) -> None:
    judge = make.judge(created_by=request.getfixturevalue(owner) if owner else None)
    assert delete(browser, judge).status_code == 403
    assert "Delete" not in text_of(browser.get(judge.get_absolute_url()))
    assert Judge.objects.count() == 1


def test_a_judge_in_use_stays(browser: Client, bob: User) -> None:
    judge = make.judge(created_by=bob)
    candidate = Candidate.objects.filter(case__dataset=judging.dataset(cases=1)).first()
    assert candidate
    make.give(candidate, make.version(), judge, 3)
    assert "This judge is in use" in text_of(delete(browser, judge))
    assert Judge.objects.count() == 1


# Lists ---------------------------------------------------------------------------------------------------------------


def test_more_judges_cost_no_more_queries(browser: Client) -> None:
    candidates = list(Candidate.objects.filter(case__dataset=judging.dataset(cases=2)))
    costs = []
    for count in (2, 9):
        for _number in range(count):
            judge = make.judge()
            make.answer(judge)
            for candidate in candidates:
                make.give(candidate, make.version(), judge, 3)
        browser.get(reverse("judges"))
        for url in (reverse("judges"), judge.get_absolute_url()):
            with CaptureQueriesContext(connection) as found:
                browser.get(url)
            costs.append(len(found))
    assert costs[:2] == costs[2:]
    assert max(costs) <= 10


def test_a_long_list_has_pages(browser: Client) -> None:
    for _number in range(51):
        make.judge()
    first = text_of(browser.get(reverse("judges")))
    assert "?after=" in first
    last = Judge.objects.order_by("-pk")[49]
    rest = text_of(browser.get(reverse("judges"), {"after": str(last.pk)}))
    assert rest.count('<th scope="row">') == 1


def test_a_judge_is_another_when_its_endpoint_becomes_another_model(browser: Client) -> None:
    endpoint()
    values = {"set-endpoint": "service", "set-temperature": "0.5", "set-max_tokens": "800"}
    assert make_judge(browser, "endpoint", **values).status_code == 302
    found, made = backend("endpoint"), Judge.objects.get()
    assert found is not None
    assert found.identity(made.settings).model == "m"
    Endpoint.objects.update(model="another")
    with pytest.raises(ValidationError, match="make a new judge"):
        found.identity(made.settings)
