"""Pages of proofs, and that annotators never learn who made an image."""

import html
import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import Candidate, Dataset
from annotation.studies import set_state
from scoring.models import Judge, PromptVersion, Score
from scoring.prompts.loading import load_prompts
from tests import judging
from tests.training_proof import make
from tests.web import text_of
from training.models import Proof, ProofState
from training.proof import queries
from training.proof.reading import said
from webapp.accounts.models import User
from webapp.jobs.models import Job


@pytest.fixture
def browser(bob: User) -> Client:
    client = Client()
    client.force_login(bob)
    return client


@pytest.fixture
def data(db: None) -> Dataset:
    return judging.dataset(cases=4, editors=2, notice="Demo data.")


def post(browser: Client, data: Dataset, **values: Any) -> Any:
    base, trained = make.two()
    given = {"base": base.pk, "dataset": data.pk, "split": "", "cases": 4, "seeds": 1, "raters": 1, "pairwise": "on"}
    given |= {"ratings": "on", **values}
    return browser.post(reverse("new_proof", args=[trained.slug]), {k: v for k, v in given.items() if v is not None})


# The form ------------------------------------------------------------------------------------------------------------


def test_it_works(browser: Client, bob: User, data: Dataset) -> None:
    judges = make.people(2)
    answer = post(browser, data, people=[judge.pk for judge in judges], raters=2, tasks=["add"])
    made = Proof.objects.get()
    assert answer["Location"] == made.get_absolute_url()
    assert (made.created_by, made.state) == (bob, ProofState.OPEN)
    assert (made.settings["raters"], made.settings["tasks"]) == (2, ["add"])
    page = text_of(browser.get(answer["Location"]))
    assert "Editor 1 against Editor 0" in page and "There is no judgement yet." in page and "Demo data." in page
    assert "Who made which is shown when all judgements are in" in page


def test_the_form_begins_with_the_base_and_the_data_of_the_training(browser: Client, data: Dataset) -> None:
    make.card(data, data={"wanted": {"dataset": str(data.uid)}})
    page = browser.get(reverse("new_proof", args=["editor-1"])).content.decode()
    base = make.two()[0]
    assert f'<option value="{base.pk}" selected>' in page
    assert f'<option value="{data.pk}" selected>' in page
    assert page.count("Editor 1</option>") == 0, "it is not compared with itself"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "Choose who judges, or say that you add people later."),
        ({"later": "on", "cases": 5}, "has only 4 cases of these tasks"),
        ({"later": "on", "cases": ""}, "This field is required"),
        ({"later": "on", "seeds": 11}, "less than or equal to 10"),
        ({"later": "on", "pairwise": None, "ratings": None}, "Ask for choices, for ratings, or for both."),
        ({"later": "on", "base": 0}, "Select a valid choice"),
    ],
)
def test_a_refusal_stands_beside_its_field(browser: Client, data: Dataset, values: dict[str, Any], words: str) -> None:
    assert words in text_of(post(browser, data, **values))
    assert not Proof.objects.exists()


def test_engineers_are_not_offered_as_judges(browser: Client, data: Dataset) -> None:
    (judge,) = make.people(1)
    page = text_of(browser.get(reverse("new_proof", args=["editor-1"])))
    assert judge.username in page and ">bob</label>" not in page.replace(" ", "")
    assert "Select a valid choice" in text_of(post(browser, data, people=[User.objects.get(username="bob").pk]))


def test_an_editor_that_is_not_there(browser: Client, data: Dataset) -> None:
    assert browser.get(reverse("new_proof", args=["nobody"])).status_code == 404


# A proof's page -------------------------------------------------------------------------------------------------------


def test_pairs_are_shown_when_all_is_judged(browser: Client, data: Dataset) -> None:
    found = make.proof(data, ratings=False)
    (judge,) = make.people(1)
    page, pairs, table = (reverse(name, args=[found.uid]) for name in ("proof", "proof_pairs", "proof_table"))
    make.let(found.pairwise, judge, make.for_trained, limit=2)
    assert "<img" not in text_of(browser.get(page)) and "<img" not in text_of(browser.get(pairs))
    assert "data-look" in browser.get(page).content.decode()
    make.let(found.pairwise, judge, lambda row: make.choice(make.sides(row)["base"], remark="Grainy <b>sky</b>."))
    shown = browser.get(page).content.decode()
    assert shown.count("<img") == 3 * 4 and "data-look" not in shown
    assert "trained 1, base 0, tie 0, both bad 0" in shown
    assert "Grainy &lt;b&gt;sky&lt;/b&gt;." in shown
    assert text_of(browser.get(pairs)).count("<article") == 4
    answer = browser.get(table)
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 5 and all("Demo data." in line for line in lines[1:])


def test_pairs_are_shown_when_the_studies_are_closed(browser: Client, data: Dataset) -> None:
    found = make.proof(data)
    address = reverse("proof_pairs", args=[found.uid])
    assert text_of(browser.get(address)).count("<article") == 0
    for study in found.studies:
        set_state(study=study, state="closed")
    assert text_of(browser.get(address)).count("<article") == 4


def test_pairs_come_in_pages(browser: Client, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "PAGE", 3)
    found = make.proof(data)
    for study in found.studies:
        set_state(study=study, state="closed")
    address = reverse("proof_pairs", args=[found.uid])
    first = text_of(browser.get(address))
    assert first.count("<article") == 3 and "?from=3" in first
    second = text_of(browser.get(address + "?from=3"))
    assert second.count("<article") == 1 and "?from=0" in second
    for strange in ("x", "-3", "99", "٣", "9" * 30):
        assert text_of(browser.get(address, {"from": strange})).count("<article") == 3


def test_the_moving_part(browser: Client, data: Dataset) -> None:
    found = make.proof(data)
    (judge,) = make.people(1)
    address = reverse("proof_now", args=[found.uid])
    assert "There is no judgement yet." in text_of(browser.get(address))
    make.let(found.pairwise, judge, make.for_trained)
    page = text_of(browser.get(address))
    assert "100 % [51, 100] of 4 judgements" in page, "Wilson's interval for few source images"
    assert "<html" not in page
    assert "Object addition" in page and "No scorer has scored both edits" in page


def test_scorers_and_tasks_are_shown(browser: Client, data: Dataset) -> None:
    load_prompts()
    judge = Judge.objects.create(slug="j", name="A judge", kind="endpoint", notice="Demo judge, not a VLM.")
    version = PromptVersion.objects.filter(prompt__slug="hp-add").latest("number")
    for row in Candidate.objects.filter(case__dataset=data):
        value = 4.0 if row.editor.slug == "editor-1" else 1.5
        Score.objects.create(candidate=row, version=version, judge=judge, status="parsed", value=value)
    found = make.proof(data)
    (person,) = make.people(1)
    make.let(found.pairwise, person, make.for_trained)
    page = text_of(browser.get(found.get_absolute_url()))
    for words in ("A judge", "Demo judge, not a VLM.", "+2.50", "says the same, %", "Object addition", "of 12"):
        assert words in page
    assert "nan" not in page.lower().replace("nano", "")


def test_a_proof_that_waits_shows_its_job(browser: Client, alice: User, bob: User, data: Dataset) -> None:
    job = Job.objects.create(kind="generate", queue="gpu", title="Make 4", state="running", done=1, total=4, config={})
    found = make.proof(data, by=alice)
    Proof.objects.update(state="waiting", generation=job, pairwise=None, ratings=None)
    address = found.get_absolute_url()
    page = text_of(browser.get(address))
    assert "The images come first" in page and "Make 4" in page and "data-look" in page
    job.state = "failed"
    job.save()
    assert "Begin with what is there" not in text_of(browser.get(address)), "it is alice's"
    assert browser.post(reverse("proof_begin", args=[found.uid])).status_code == 403
    Proof.objects.update(created_by=bob)
    assert "Begin with what is there" in text_of(browser.get(address))
    assert browser.post(reverse("proof_begin", args=[found.uid]))["Location"] == address
    found.refresh_from_db()
    assert found.state == ProofState.OPEN
    again = browser.post(reverse("proof_begin", args=[found.uid]), follow=True)
    assert "people have them already" in text_of(again)


def test_a_proof_that_stopped_says_why(browser: Client, data: Dataset) -> None:
    found = make.proof(data)
    Proof.objects.update(state="stopped", message="No image.", pairwise=None, ratings=None)
    page = text_of(browser.get(found.get_absolute_url()))
    assert "No image." in page and "data-live" not in page


# On other pages -------------------------------------------------------------------------------------------------------


def block(context: dict[str, Any]) -> str:
    from django.template.loader import render_to_string

    return re.sub(r"\s+", " ", html.unescape(render_to_string("proofs/of_editor.html", context)))


def test_the_block_on_an_editors_and_a_runs_page(data: Dataset) -> None:
    card = make.card(data)
    assert card.job is not None
    for context in (queries.of_editor(card.editor), queries.of_job(card.job)):
        shown = block(context)
        assert "Nobody has been asked yet" in shown
        assert reverse("new_proof", args=["editor-1"]) in shown
    found = make.proof(data)
    (judge,) = make.people(1)
    make.let(found.pairwise, judge, make.for_trained)
    for context in (queries.of_editor(card.editor), queries.of_job(card.job)):
        shown = block(context)
        assert "100 %" in shown and "1 person" in shown and "4 of 12 judgements" in shown and "Demo data." in shown
    assert queries.of_editor(card.base)["proof_rows"] == []


def test_a_run_without_an_editor_has_no_button(db: None) -> None:
    job = Job.objects.create(kind="posttrain", queue="gpu", title="Run", config={})
    assert queries.of_job(job) == {"proof_editor": None, "proof_rows": []}
    assert block(queries.of_job(job)).strip() == ""


def test_a_longer_list_costs_no_more_queries(browser: Client, data: Dataset) -> None:
    costs = []
    for count in (2, 5):
        for _number in range(count):
            make.proof(data)
        browser.get(reverse("proofs"))
        with CaptureQueriesContext(connection) as found:
            page = text_of(browser.get(reverse("proofs")))
        costs.append(len(found))
    assert page.count("Editor 1 against Editor 0") == 7
    (judge,) = make.people(1)
    newest = Proof.objects.latest("pk")
    make.let(newest.pairwise, judge, make.for_trained)
    make.let(newest.ratings, judge, make.scored(1, 2), limit=3)
    assert [row.judgements for row in queries.listed(list(Proof.objects.order_by("-pk")))] == [7, *[0] * 6]
    assert costs[0] == costs[1] <= 6


def test_a_page_costs_few_queries(browser: Client, data: Dataset, django_assert_max_num_queries: Any) -> None:
    found = make.proof(data, ratings=False)
    (judge,) = make.people(1)
    make.let(found.pairwise, judge, make.for_trained)
    with django_assert_max_num_queries(20):
        browser.get(found.get_absolute_url())


# Blind ---------------------------------------------------------------------------------------------------------------


def told(data: Dataset) -> list[str]:
    """What would give an editor away: names, seeds' owners, UIDs of candidates and images, files."""
    words = ["Editor 0", "Editor 1", "editor-0", "editor-1", "base", "trained", "before", "after", "proof"]
    for row in Candidate.objects.filter(case__dataset=data).select_related("image"):
        words += [str(row.uid), str(row.image.uid), row.image.sha256]
    return words


def test_annotators_never_learn_who_made_an_image(data: Dataset) -> None:
    """All that their pages hold: my work, the page, its items, and the answer to what they send."""
    (judge,) = make.people(1)
    found = make.proof(data, people=(judge,))
    client = Client()
    client.force_login(judge)
    seen = [client.get(reverse("work")).content.decode()]
    for study in found.studies:
        way_in = reverse("way_in", args=[study.uid])
        seen.append(client.get(way_in).content.decode())
        client.post(way_in, {"step": "guidelines", "number": 1})
        seen.append(client.get(reverse("workplace", args=[study.uid])).content.decode())
        more = client.post(
            reverse("work_next", args=[study.uid]), {"have": [], "want": 8}, content_type="application/json"
        )
        given = json.loads(more.content)["assignments"]
        assert len(given) >= 4
        seen.append(more.content.decode())
        answer = make.choice("A") if study.protocol.kind == "pairwise" else judging.rated({"overall": 3})
        event = judging.event(given[0]["uid"], "submit", answer=answer)
        sent = client.post(
            reverse("work_events", args=[study.uid]),
            {"events": [event], "have": [], "want": 8},
            content_type="application/json",
        )
        assert json.loads(sent.content)["saved"] == [event["key"]]
        seen.append(sent.content.decode())
    for page in seen:
        assert [word for word in told(data) if re.search(rf"\b{re.escape(word)}\b", page)] == []


def test_annotators_see_no_page_of_a_proof(data: Dataset) -> None:
    (judge,) = make.people(1)
    found = make.proof(data, people=(judge,))
    client = Client()
    client.force_login(judge)
    for name in ("proof", "proof_now", "proof_pairs", "proof_table"):
        assert client.get(reverse(name, args=[found.uid])).status_code == 403


def test_the_studies_names_tell_nothing_and_sides_are_by_chance(db: None) -> None:
    data = judging.dataset(cases=40, editors=2)
    (judge,) = make.people(1)
    found = make.proof(data, ratings=False, people=(judge,))
    assert found.pairwise is not None
    assert found.pairwise.name == f"Compare edits {found.pk}"
    make.let(found.pairwise, judge, lambda _row: make.choice("A"))
    shown_left = [one.left for one in said(found).votes]
    assert 8 < sum(shown_left) < 32, "neither editor stands on one side"
