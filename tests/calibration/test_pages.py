"""The pages of calibration: shown in every state, labelled, with few queries; what is refused is said in words."""

import html
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.library import load_tasks
from annotation.models import Candidate, Dataset, Study
from scoring.calibration import drift, services
from scoring.calibration.triples import people_of
from scoring.models import (
    Activation,
    Anchor,
    Calibration,
    Judge,
    LevelMap,
    PromptVersion,
    Suggestion,
    UnclearPoint,
)
from tests import judging
from tests.calibration import make
from tests.scoring_jobs import make as asking
from webapp.jobs.models import Job

pytestmark = pytest.mark.django_db
NAMES = ("calibration", "calibrations", "calibration_versions", "calibration_compare", "calibration_rows", "ablation")
LONG = "9" * 5000


@pytest.fixture
def desk(bob: Any, settings: Any) -> Calibration:
    settings.PRIVATE_ENDPOINTS = True
    load_tasks()
    asking.endpoint()
    of = make.prompt("hp-test", "Is it there?", "Is the rest kept?")
    return make.calibration(make.rated_study(6, 3, 2), of, bob, judge=asking.judge())


@pytest.fixture
def browser(bob: Any) -> Client:
    client = Client()
    client.force_login(bob)
    return client


@pytest.fixture
def version(desk: Calibration) -> PromptVersion:
    assert desk.current is not None
    return desk.current


def url(name: str, desk: Calibration, number: int = 1) -> str:
    if name in ("calibrations", "new_calibration"):
        return reverse(name)
    if name == "calibration_compare":
        return reverse(name, args=[desk.uid]) + f"?first={number}&second={number}"
    if name == "drift":
        return reverse(name, args=["add"])
    numbered = name not in ("calibration", "calibration_versions", "calibration_anchors")
    return reverse(name, args=[desk.uid, number] if numbered else [desk.uid])


def text_of(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status, answer.content[:500]
    return html.unescape(answer.content.decode())


def post(browser: Client, name: str, desk: Calibration, number: int = 1, **data: Any) -> str:
    """What the page says after a form was sent."""
    return text_of(browser.post(url(name, desk, number), data, follow=True))


def scored(desk: Calibration, version: PromptVersion, seed: int = 3) -> None:
    chance = np.random.default_rng(seed)
    make.scored(desk, version, lambda _pk: float(chance.uniform(0, 5)))


# Every state ---------------------------------------------------------------------------------------------------------


def _looked(desk: Calibration, version: PromptVersion, by: Any) -> None:
    scored(desk, version)
    services.look(calibration=desk, version=version, by=by)


def _levelled(desk: Calibration, version: PromptVersion, by: Any) -> None:
    _looked(desk, version, by)
    services.fit_level(calibration=desk, version=version)


def _active(desk: Calibration, version: PromptVersion, by: Any) -> None:
    _levelled(desk, version, by)
    services.activate(calibration=desk, version=version, by=by, with_level=True)
    drift.choose_anchors(calibration=desk)
    assert desk.prompt.task
    drift.start_check(task=desk.prompt.task, version=version, judge=desk.judge, by=by)


def _suggested(desk: Calibration, version: PromptVersion, by: Any) -> None:
    scored(desk, version)
    trial = make.version(desk.prompt, "Is it there?", "Is it red?", parent=version, is_trial=True)
    scored(desk, trial)
    job = services.score_versions(calibration=desk, versions=[version, trial], by=by, dev_only=True)
    verdict = {"verdict": "better", "before": {"value": 0.5}, "after": {"value": None}, "difference": {"low": 0.1}}
    for figures in ({}, {"scoring": str(job.uid)}, {"problem": "No key."}, verdict):
        Suggestion.objects.create(
            calibration=desk, parent=version, trial=trial, text="Is it red?", source="m", figures=figures
        )


def _failed(desk: Calibration, version: PromptVersion, by: Any) -> None:
    make.scored(desk, version, lambda _pk: None)


def _constant(desk: Calibration, version: PromptVersion, by: Any) -> None:
    make.scored(desk, version, lambda _pk: 3.0)


def _every_task(desk: Calibration, version: PromptVersion, by: Any) -> None:
    type(desk.prompt).objects.filter(pk=desk.prompt_id).update(task=None)
    _looked(desk, version, by)


def _nothing(desk: Calibration, version: PromptVersion, by: Any) -> None:
    """Nothing is scored yet."""


def _no_rating_counts(desk: Calibration, version: PromptVersion, by: Any) -> None:
    from annotation.models import Judgement

    scored(desk, version)
    Judgement.objects.update(flag="broken")


STATES = (
    _nothing, lambda desk, version, _by: scored(desk, version), _failed, _constant, _looked, _levelled, _active,
    _suggested, _every_task, _no_rating_counts,
)  # fmt: skip


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__.strip("_<>"))
def test_every_page_in_every_state(
    browser: Client, desk: Calibration, version: PromptVersion, bob: Any, state: Callable[..., None]
) -> None:
    state(desk, version, bob)
    for name in (*NAMES, "new_calibration", "drift"):
        page = text_of(browser.get(url(name, desk)))
        assert "{{" not in page and "{%" not in page, name
    page = text_of(browser.get(url("calibration", desk)))
    figures = json.loads(page.split('id="figures" type="application/json">')[1].split("</script>")[0])
    assert (figures["held"] is None) == (not desk.looks.exists())
    assert ("Make v1 the active scorer of" in page) == (state is not _every_task)


def test_a_trial_is_shown_as_one(browser: Client, desk: Calibration, version: PromptVersion, bob: Any) -> None:
    _suggested(desk, version, bob)
    assert "v2 (trial)" in text_of(browser.get(url("calibration", desk), {"v": 2}))


def test_the_state_of_a_suggestion_is_told(
    browser: Client, desk: Calibration, version: PromptVersion, bob: Any
) -> None:
    _suggested(desk, version, bob)
    page = text_of(browser.get(url("calibration", desk)))
    assert page.count("Being tried on the dev part") == 2
    assert Job.objects.get().get_absolute_url() in page
    assert "No key." in page
    assert "0.500 → –" in page


@pytest.mark.parametrize("number", ["7", "x", "-1", LONG, "²"])
def test_a_version_that_there_is_not(browser: Client, desk: Calibration, number: str) -> None:
    assert browser.get(url("calibration", desk), {"v": number}).status_code == 404
    compared = reverse("calibration_compare", args=[desk.uid])
    assert browser.get(compared, {"first": "1", "second": number}).status_code == 404


def test_another_prompts_version_is_none_of_this_calibration(browser: Client, desk: Calibration) -> None:
    of = make.prompt("other")
    make.version(of, parent=of.versions.get())
    assert browser.get(url("calibration", desk), {"v": 2}).status_code == 404


@pytest.mark.parametrize(
    "query", [{"ids": f"{LONG},x,,-3"}, {"start": LONG}, {"start": "x"}, {"ids": ""}, {"start": "99999"}]
)
def test_rows_for_nonsense(browser: Client, desk: Calibration, version: PromptVersion, query: dict[str, str]) -> None:
    scored(desk, version)
    text_of(browser.get(url("calibration_rows", desk), query))


def test_rows_tell_nothing_of_the_held_out_part_before_a_look(
    browser: Client, desk: Calibration, version: PromptVersion, bob: Any
) -> None:
    scored(desk, version)
    people = people_of(desk)
    ids = ",".join(map(str, people.candidates[people.held_out]))
    assert "No point was chosen" in text_of(browser.get(url("calibration_rows", desk), {"ids": ids}))
    services.look(calibration=desk, version=version, by=bob)
    page = text_of(browser.get(url("calibration_rows", desk), {"ids": ids}))
    assert page.count("<article") == people.held_out.sum()


# What is not real ----------------------------------------------------------------------------------------------------


def test_what_is_not_real_is_labelled_on_every_page(
    browser: Client, desk: Calibration, version: PromptVersion, bob: Any
) -> None:
    _active(desk, version, bob)
    Judge.objects.update(notice="demo judge, not a VLM")
    Study.objects.update(is_simulated=True)
    Dataset.objects.update(notice="Demo data.")
    for name in ("calibration", "calibration_compare", "ablation"):
        page = text_of(browser.get(url(name, desk)))
        bar = page.split('class="demo-bar">')[1].split("</p>")[0]
        assert all(words in bar for words in ("demo judge, not a VLM", "Demo data.", "imulat")), name
    listed = text_of(browser.get(reverse("calibrations")))
    assert listed.count("demo judge, not a VLM") == 2  # the desk, and the active scorer
    assert listed.count(">simulation<") == 2
    assert "Demo data." in listed
    drifting = text_of(browser.get(url("drift", desk)))
    assert 'class="demo-bar">demo judge, not a VLM Demo data.</p>' in drifting
    Activation.objects.all().delete()
    assert "demo judge, not a VLM" in text_of(browser.get(url("drift", desk))), "its checks are still shown"
    assert "(simulation, Demo data.)" in text_of(browser.get(reverse("new_calibration")))


def test_where_everything_is_real_nothing_is_labelled(browser: Client, desk: Calibration) -> None:
    for name in NAMES:
        assert 'class="demo-bar"' not in text_of(browser.get(url(name, desk)))


# Begin ---------------------------------------------------------------------------------------------------------------


def begin(browser: Client, desk: Calibration, **change: Any) -> Any:
    values = {
        "prompt": "hp-test", "people": f"{desk.study.uid}/overall", "method": "mean", "judge": "eye", "held_out": "40",
        "name": "",
    }  # fmt: skip
    return browser.post(reverse("new_calibration"), values | change)


def test_a_calibration_is_begun(browser: Client, desk: Calibration, bob: Any) -> None:
    answer = begin(browser, desk)
    made = Calibration.objects.latest("pk")
    assert answer["Location"] == made.get_absolute_url()
    assert (made.name, made.held_out, made.created_by) == (f"hp-test · {desk.study.name}, Overall", desk.held_out, bob)
    assert (made.seed, made.current) == (desk.seed, desk.current)  # a prompt has one split


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prompt": "gone"}, "not one of the available choices"),
        ({"people": "x/overall"}, "not one of the available choices"),
        ({"judge": ""}, "This field is required"),
        ({"held_out": "95"}, "less than or equal to 90"),
        ({"method": "guess"}, "not one of the available choices"),
        ({"name": "n" * 121}, "at most 120 characters"),
    ],
)
def test_a_wrong_form_begins_nothing(browser: Client, desk: Calibration, change: dict[str, str], words: str) -> None:
    page = text_of(begin(browser, desk, **change))
    assert words in page
    assert 'value="40"' in page or "held_out" in change
    assert Calibration.objects.count() == 1


def test_what_the_service_refuses_is_said_above_the_form(browser: Client, desk: Calibration) -> None:
    make.prompt("swapping", task="swap")
    assert "People have scored 0 candidates of this task" in text_of(begin(browser, desk, prompt="swapping"))


def test_the_form_is_filled_from_the_address(browser: Client, desk: Calibration) -> None:
    page = text_of(browser.get(reverse("new_calibration"), {"prompt": "hp-test", "judge": "eye"}))
    assert '<option value="hp-test" selected>' in page
    assert '<option value="eye" selected>' in page


# A new version -------------------------------------------------------------------------------------------------------


def typed(*questions: str, **change: Any) -> dict[str, Any]:
    """The form of the page as a browser sends it."""
    values = {"preamble": "Judge the edit.", "rubric": "5: all good.", "note": "", "question": []}
    for row, text in enumerate(questions):
        values["question"].append(str(row))  # type: ignore[attr-defined]
        key = {f"question-key-{row}": f"q{row}"} if row < 2 else {}
        values |= {f"question-text-{row}": text, f"question-on-{row}": "on", **key}
    return values | change


def test_a_new_version_is_made_and_scored(browser: Client, desk: Calibration, bob: Any) -> None:
    data = typed("Is it there?", "Is the rest kept?", "Is it sharp?", note="Sharpness.")
    answer = browser.post(url("calibration_new_version", desk), data)
    assert answer["Location"] == f"{desk.get_absolute_url()}?v=2"
    made = desk.prompt.versions.get(number=2)
    assert [(row.key, row.text) for row in made.questions.all()][:2] == [
        ("q0", "Is it there?"),
        ("q1", "Is the rest kept?"),
    ]
    assert (made.questions.count(), made.note, made.author) == (3, "Sharpness.", bob)
    assert Job.objects.get().config["versions"] == [str(made.uid)]
    desk.refresh_from_db()
    assert desk.current == made


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (typed("Is it there?", "Is the rest kept?"), "Nothing was changed"),
        (typed("Is it there?", ""), "Write the question"),
        (typed("Is {weather} kept?"), "no placeholder {weather}"),
        (typed("Is it there?", rubric=""), "This field is required"),
        (typed("Is it there?", note="n" * 501), "at most 500 characters"),
    ],
)
def test_what_was_typed_comes_back_with_the_reason(
    browser: Client, desk: Calibration, data: dict[str, Any], words: str
) -> None:
    page = text_of(browser.post(url("calibration_new_version", desk), data), 400)
    assert words in page
    for name, text in data.items():
        if name.startswith("question-text"):
            assert text in page
    assert desk.prompt.versions.count() == 1
    assert not Job.objects.exists()


def test_a_version_that_cannot_be_scored_is_kept_and_the_reason_said(browser: Client, desk: Calibration) -> None:
    Judge.objects.update(kind="gone")
    page = text_of(browser.post(url("calibration_new_version", desk), typed("Is it new?"), follow=True))
    assert "no kind of judge “gone”" in page
    assert "Is it new?" in page
    assert desk.prompt.versions.count() == 2


# What the buttons do -------------------------------------------------------------------------------------------------


def test_scoring_begins_with_a_limit(browser: Client, desk: Calibration) -> None:
    page = post(browser, "calibration_score", desk, most_cost="2.5")
    job = Job.objects.get()
    assert job.config["most_cost"] == 2.5
    assert job.get_absolute_url() in page


@pytest.mark.parametrize("most", ["-1", "much", "nan"])
def test_a_limit_that_is_none(browser: Client, desk: Calibration, most: str) -> None:
    assert "Spend at most: enter a number" in post(browser, "calibration_score", desk, most_cost=most)
    assert not Job.objects.exists()


def test_refusals_of_services_are_said_on_the_page(browser: Client, desk: Calibration) -> None:
    assert "are not scored yet" in post(browser, "calibration_look", desk)
    assert "fewer than 3 different scores" in post(browser, "calibration_level", desk)
    assert "Look at the held-out figures first" in post(browser, "calibration_activate", desk)
    assert "The reason is too long" in post(browser, "calibration_activate", desk, note="n" * 501)
    assert not (Activation.objects.exists() or LevelMap.objects.exists())


def test_the_way_to_an_active_scorer(browser: Client, desk: Calibration, version: PromptVersion) -> None:
    scored(desk, version)
    post(browser, "calibration_look", desk)
    assert "Forget it" in post(browser, "calibration_level", desk)
    page = post(browser, "calibration_activate", desk, with_level="on", note="Good.")
    assert "hp-test v1 is now the active scorer." in page
    assert Activation.objects.get().knots
    assert "Forget it" not in post(browser, "calibration_level", desk, forget="1")
    assert "anchors are chosen" in post(browser, "calibration_anchors", desk)
    assert Anchor.objects.count() == 18
    assert "They stay" in post(browser, "calibration_anchors", desk)
    assert "2" in text_of(browser.get(url("drift", desk)))


def test_an_activation_whose_check_cannot_begin_is_said_to_be_one(
    browser: Client, desk: Calibration, version: PromptVersion, bob: Any
) -> None:
    _looked(desk, version, bob)
    drift.choose_anchors(calibration=desk)
    Judge.objects.update(kind="gone")
    page = post(browser, "calibration_activate", desk)
    assert "is now the active scorer" in page
    assert "no kind of judge “gone”" in page


def test_drift_is_checked_by_hand_once_a_month(
    browser: Client, desk: Calibration, version: PromptVersion, bob: Any
) -> None:
    assert "has no active scorer" in text_of(browser.post(url("drift", desk), follow=True))
    _looked(desk, version, bob)
    services.activate(calibration=desk, version=version, by=bob)
    assert "has no anchors yet" in text_of(browser.post(url("drift", desk), follow=True))
    drift.choose_anchors(calibration=desk)
    page = text_of(browser.post(url("drift", desk), follow=True))
    assert Job.objects.get().get_absolute_url() in page
    assert "was checked this month already" in text_of(browser.post(url("drift", desk), follow=True))
    assert browser.get(reverse("drift", args=["no-such-task"])).status_code == 404


def test_a_point_is_marked_and_settled_for_the_guidelines(
    browser: Client, desk: Calibration, version: PromptVersion, alice: Any
) -> None:
    scored(desk, version)
    pk = people_of(desk).candidates[0]
    assert "Write what the guideline leaves open" in post(browser, "calibration_unclear", desk, candidate=pk, note="")
    stranger = Candidate.objects.filter(case__dataset=judging.dataset())[0].pk
    said = post(browser, "calibration_unclear", desk, candidate=stranger, note="Hm.")
    assert "People have not scored this edit" in said
    assert browser.post(url("calibration_unclear", desk), {"candidate": 10**9, "note": "Hm."}).status_code == 404
    assert "Noted" in post(browser, "calibration_unclear", desk, candidate=pk, note="Is a shadow part of it?")
    point = UnclearPoint.objects.get()
    admin = Client()
    admin.force_login(alice)
    settle = reverse("unclear_settle", args=[point.uid])
    assert "Is a shadow part of it?" in text_of(admin.get(desk.study.get_absolute_url()))
    assert "5,000 characters at most" in text_of(admin.post(settle, {"words": "w" * 5001}, follow=True))
    assert "The guidelines have it." in text_of(admin.post(settle, {"words": "A shadow counts."}, follow=True))
    assert "Somebody has settled this already" in text_of(admin.post(settle, {"words": "Again."}, follow=True))
    desk.study.refresh_from_db()
    assert "A shadow counts." in desk.study.guidelines
    assert "Again." not in desk.study.guidelines


def test_ablation_is_begun_on_its_page(browser: Client, desk: Calibration, version: PromptVersion) -> None:
    assert "not tried yet" in text_of(browser.get(url("ablation", desk)))
    assert "being scored" in text_of(browser.post(url("ablation", desk), follow=True))
    assert len(Job.objects.get().config["versions"]) == 3
    make.version(desk.prompt, parent=version)
    bare = desk.prompt.versions.latest("number").number
    assert "asks no question" in text_of(browser.post(url("ablation", desk, bare), follow=True))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"proposer": "gone"}, "not one of the available choices"),
        ({"proposer": "local", "rounds": "21", "loop": "1"}, "less than or equal to 20"),
        ({"proposer": "local", "budget": "-1"}, "greater than or equal to 0"),
        ({}, "This field is required"),
    ],
)
def test_a_proposal_that_cannot_be_asked_for(
    browser: Client, desk: Calibration, data: dict[str, Any], words: str
) -> None:
    assert words in post(browser, "calibration_refine", desk, **data)
    assert not Job.objects.exists()


def test_a_proposal_and_a_loop(browser: Client, desk: Calibration) -> None:
    browser.post(url("calibration_refine", desk), {"proposer": "local", "rounds": ["5", "1"]})
    browser.post(url("calibration_refine", desk), {"proposer": "local", "rounds": "5", "loop": "1", "budget": "2"})
    found = [(job.config["rounds"], job.config["budget"]) for job in Job.objects.order_by("pk")]
    assert found == [(1, None), (5, 2.0)]


def test_a_suggestion_is_decided_on(browser: Client, desk: Calibration, version: PromptVersion, bob: Any) -> None:
    _suggested(desk, version, bob)
    first, second, *_others = Suggestion.objects.order_by("pk")
    answer = browser.post(reverse("suggestion_decide", args=[first.uid]), {"decision": "accept"})
    assert answer["Location"] == f"{desk.get_absolute_url()}?v=3"
    assert Job.objects.latest("pk").config["versions"] == [str(desk.prompt.versions.get(number=3).uid)]
    again = browser.post(reverse("suggestion_decide", args=[first.uid]), {"decision": "reject"}, follow=True)
    assert "has decided on this already" in text_of(again)
    browser.post(reverse("suggestion_decide", args=[second.uid]), {"decision": "reject"})
    second.refresh_from_db()
    assert second.state == "rejected"


# Lists and their cost ------------------------------------------------------------------------------------------------


def cost(browser: Client, address: str) -> int:
    browser.get(address)  # what is fetched once, such as the session, is not the page's
    with CaptureQueriesContext(connection) as found:
        text_of(browser.get(address))
    return len(found)


def another(desk: Calibration, bob: Any) -> Calibration:
    made = Calibration.objects.get(pk=desk.pk)
    made.pk, made.uid, made._state.adding = None, __import__("uuid").uuid4(), True
    made.save()
    return made


def test_the_list_costs_the_same_however_long_it_is(browser: Client, desk: Calibration, bob: Any) -> None:
    Study.objects.update(is_simulated=True)
    before = cost(browser, reverse("calibrations"))
    for _number in range(8):
        another(desk, bob)
    assert cost(browser, reverse("calibrations")) == before <= 8


def test_a_long_list_has_pages(browser: Client, desk: Calibration, bob: Any) -> None:
    for _number in range(50):
        another(desk, bob)
    page = text_of(browser.get(reverse("calibrations")))
    assert "?after=" in page
    last = Calibration.objects.order_by("-pk")[49].pk
    assert text_of(browser.get(reverse("calibrations"), {"after": last})).count('<th scope="row">') == 1


def test_the_pages_cost_the_same_whatever_there_is(browser: Client, desk: Calibration, version: PromptVersion) -> None:
    scored(desk, version)
    before = {
        name: cost(browser, url(name, desk)) for name in ("calibration", "calibration_rows", "calibration_compare")
    }
    for number in range(9):
        child = make.version(desk.prompt, f"Is it so {number}?", parent=version)
        scored(desk, child, number)
    rater = desk.study.members.first()
    assert rater is not None
    after = {name: cost(browser, url(name, desk)) for name in before}
    assert after == before
    assert before["calibration"] <= 32
    assert before["calibration_rows"] <= 16
    assert before["calibration_compare"] <= 14


def test_the_table_of_versions_costs_one_query_a_version(
    browser: Client, desk: Calibration, version: PromptVersion
) -> None:
    def first_cost() -> int:
        """The next browser that asks within a moment gets the same table."""
        browser.get(reverse("calibrations"))
        cache.clear()
        with CaptureQueriesContext(connection) as found:
            text_of(browser.get(address))
        return len(found)

    scored(desk, version)
    address = url("calibration_versions", desk)
    one = first_cost()
    for number in range(9):
        scored(desk, make.version(desk.prompt, f"Is it so {number}?", parent=version), number)
    assert first_cost() == one + 9
    assert one <= 11
    assert cost(browser, address) <= 4
    assert text_of(browser.get(address)).count('<th scope="row"') == 10


# Live ----------------------------------------------------------------------------------------------------------------


def test_the_live_figures_are_for_engineers(desk: Calibration, carol: Any) -> None:
    client = Client()
    assert client.get(url("calibration_live", desk)).status_code == 404
    client.force_login(carol)
    assert client.get(url("calibration_live", desk)).status_code == 404
