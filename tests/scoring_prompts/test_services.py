"""Prompts and versions: numbers, keys, what is refused; nothing changes a version."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from annotation.library import load_tasks
from annotation.models import Task
from scoring.models import Activation, Judge, Prompt, PromptVersion
from scoring.prompts import services
from scoring.prompts.drafts import Draft, Line
from scoring.prompts.loading import load_prompts
from scoring.prompts.services import create_prompt, create_version, draft_of, drop_trial, without_question
from tests.test_lease_races import all_at_once

FIRST = [("", "Is it gone?", True), ("", "Is it clean?", True)]


def make(**values: Any) -> Prompt:
    load_tasks()
    given = {
        "name": "My prompt",
        "task": Task.objects.get(slug="remove"),
        "dimension": "overall",
        "low": 0,
        "high": 5,
        "preamble": "Look at {task}.",
        "rubric": "0 to 5.",
        "questions": FIRST,
        "by": None,
    }
    return create_prompt(**{**given, **values})


@pytest.fixture
def first(db: None) -> PromptVersion:
    return make().versions.get()


def child(parent: PromptVersion, **values: Any) -> PromptVersion:
    draft = draft_of(parent)
    given = {"preamble": draft.preamble, "rubric": draft.rubric, "questions": draft.questions, "by": None}
    return create_version(parent=parent, **{**given, **values})


def with_text(parent: PromptVersion, text: str) -> PromptVersion:
    return child(parent, questions=[*draft_of(parent).questions, ("", text, True)])


def refusal(act: Callable[[], Any]) -> str:
    before = (Prompt.objects.count(), PromptVersion.objects.count())
    with pytest.raises(ValidationError) as found:
        act()
    assert (Prompt.objects.count(), PromptVersion.objects.count()) == before
    return " ".join(found.value.messages)


def test_it_works(first: PromptVersion, bob: Any) -> None:
    assert (first.number, first.parent, first.prompt.slug) == (1, None, "my-prompt")
    assert draft_of(first).questions == (Line("q1", "Is it gone?"), Line("q2", "Is it clean?"))
    lines = [("q2", "Is it really clean?", False), ("", " Is it\r\n whole? ", True)]
    second = child(first, questions=lines, rubric="0 to 5.\r\nUse all.", note="Whole, too.", by=bob)
    second = PromptVersion.objects.get(pk=second.pk)
    assert (second.number, second.parent, second.author, second.note) == (2, first, bob, "Whole, too.")
    assert second.rubric == "0 to 5.\nUse all."
    assert draft_of(second).questions == (Line("q2", "Is it really clean?", False), Line("q3", "Is it whole?", True))
    assert draft_of(PromptVersion.objects.get(pk=first.pk)).keys == ["q1", "q2"]
    assert second.text.questions == ("Is it whole?",)


def test_a_prompt_for_every_task(db: None, bob: Any) -> None:
    made = make(task=None, questions=(), low=1, high=4, description="All.", by=bob)
    assert (made.task, made.low, made.high, made.created_by) == (None, 1, 4, bob)
    assert draft_of(made.versions.get()).questions == ()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": "!!!"}, "Use another name"),
        ({"name": "New"}, "Use another name"),
        ({"low": 5, "high": 5}, "must be above the lowest"),
        ({"low": 0, "high": 10}, "9 at most"),
        ({"dimension": ""}, "cannot be blank"),
        ({"rubric": "  "}, "Write something here."),
        ({"questions": [("q1", "Mine?", True)]}, "mixed up"),
        ({"note": "x" * 501}, "at most 500"),
    ],
)
def test_a_prompt_is_refused(db: None, values: dict[str, Any], words: str) -> None:
    assert words in refusal(lambda: make(**values))


def test_a_name_is_taken_once(first: PromptVersion) -> None:
    assert "of this name already" in refusal(make)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "Nothing was changed"),
        ({"note": "Only a note."}, "Nothing was changed"),
        ({"preamble": "Look at {task}.\r\n"}, "Nothing was changed"),
        ({"preamble": ""}, "Write something here."),
        ({"preamble": "See {thing}."}, "There is no placeholder {thing}. Use {task}, {instruction}, {requirement}."),
        ({"rubric": " \n"}, "Write something here."),
        ({"rubric": "x" * 8001}, "8001 characters. 8000 are the most."),
        ({"rubric": "0 to 5.\n# Answer\nSay 5."}, "The line “# Answer” stands in the prompt by itself."),
        ({"rubric": "0 to\x00 5."}, "control character (U+0000)"),
        ({"note": "a\x07b", "rubric": "New."}, "control character (U+0007)"),
        ({"questions": [("q1", "  ", True)]}, "Question 1: Write the question, or take it away."),
        ({"questions": [("", "x" * 1001, True)]}, "1001 characters. 1000 are the most."),
        (
            {"questions": [("q1", "a?", True), ("", "b\x1b[0m?", True)]},
            "Question 2: There is a control character (U+001B)",
        ),
        ({"questions": [("", "Half a \ud800 sign?", True)]}, "control character (U+D800)"),
        ({"questions": [("", "Is {it} there?", True)]}, "There is no placeholder {it}."),
        ({"questions": [("", f"Is it {n}?", True) for n in range(41)]}, "There are 41 questions. 40 are the most."),
        ({"questions": [("q9", "Whose?", True)]}, "mixed up"),
        ({"questions": [("q1", "One?", True), ("q1", "Two?", True)]}, "mixed up"),
    ],
)
def test_a_version_is_refused(first: PromptVersion, values: dict[str, Any], words: str) -> None:
    assert words in refusal(lambda: child(first, **values))


def test_everything_that_is_wrong_is_said_at_once(first: PromptVersion) -> None:
    said = refusal(lambda: child(first, preamble="", questions=[("q1", "", True), ("", "Is {it}?", True)]))
    assert "Write something here." in said
    assert "Question 1:" in said
    assert "Question 2:" in said


def test_forty_questions_of_a_thousand_characters(first: PromptVersion) -> None:
    made = child(first, questions=[("", f"{n:02}" + "x" * 998, True) for n in range(40)])
    assert len(made.asked) == 40


def test_the_same_questions_with_new_keys_are_no_change(first: PromptVersion) -> None:
    assert "Nothing was changed" in refusal(lambda: child(first, questions=FIRST))


def test_order_and_switches_are_changes(first: PromptVersion) -> None:
    one, two = draft_of(first).questions
    assert draft_of(child(first, questions=[two, one])).keys == ["q2", "q1"]
    assert child(first, questions=[one, two._replace(is_on=False)]).text.questions == ("Is it gone?",)


def test_keys_are_never_given_to_another_question(first: PromptVersion) -> None:
    left = with_text(first, "Left?")
    right = with_text(first, "Right?")
    assert (draft_of(left).keys[-1], draft_of(right).keys[-1]) == ("q3", "q4")
    again = child(right, questions=[*draft_of(right).questions, ("", "Left?", True), ("", "Left?", False)])
    assert draft_of(again).keys == ["q1", "q2", "q4", "q3", "q5"]  # the same words: the same question, once
    back = child(again, questions=[("q3", "Left side?", True)])  # a key of an ancestor is known
    assert draft_of(back).keys == ["q3"]


def test_numbers_go_on_over_branches(first: PromptVersion) -> None:
    made = [with_text(first, "A?"), with_text(first, "B?")]
    made.append(with_text(made[0], "C?"))
    assert [one.number for one in made] == [2, 3, 4]
    other = make(name="Other").versions.get()
    assert (other.number, with_text(other, "A?").number) == (1, 2)


def test_shipped_prompts_can_be_gone_on_with(db: None) -> None:
    load_tasks()
    load_prompts()
    parent = PromptVersion.objects.get(prompt__slug="hp-remove", number=2)
    made = with_text(parent, "Is the horizon straight?")
    assert (made.number, draft_of(made).keys[-1]) == (3, "q1")


# Ablation and trials -------------------------------------------------------------------------------------------------


def test_without_a_question(first: PromptVersion) -> None:
    draft = without_question(first, "q1")
    assert draft == Draft(first.preamble, first.rubric, (Line("q1", "Is it gone?", False), Line("q2", "Is it clean?")))
    made = services.create_from_draft(parent=first, draft=draft, note="without q1", by=None, is_trial=True)
    assert (made.is_trial, made.text.questions) == (True, ("Is it clean?",))
    with pytest.raises(KeyError):
        without_question(first, "q7")


def trial(parent: PromptVersion) -> PromptVersion:
    return child(parent, rubric="Tried.", is_trial=True)


def test_a_trial_is_dropped(first: PromptVersion) -> None:
    drop_trial(version=trial(first))
    assert first.prompt.versions.get() == first


def test_a_version_of_a_person_is_not_dropped(first: PromptVersion) -> None:
    assert "Only trial versions" in refusal(lambda: drop_trial(version=first))


def activated(version: PromptVersion) -> None:
    judge = Judge.objects.create(slug="j", name="J", kind="replay")
    values = {"dimension": "overall", "figures": {}}
    Activation.objects.create(task=Task.objects.get(slug="remove"), version=version, judge=judge, **values)


@pytest.mark.parametrize("use", [activated, lambda version: with_text(version, "Next?")])
def test_a_trial_in_use_is_not_dropped(first: PromptVersion, use: Callable[[PromptVersion], Any]) -> None:
    tried = trial(first)
    use(tried)
    assert "in use" in refusal(lambda: drop_trial(version=tried))


def test_every_relation_to_a_version_is_looked_at(first: PromptVersion) -> None:
    """Rows of another app that will refer to versions one day are found as well; only its questions do not count."""
    found = {
        field.related_model.__name__
        for field in PromptVersion._meta.get_fields(include_hidden=True)
        if isinstance(field, services.ManyToOneRel)
    }
    assert {"Score", "Activation", "Calibration", "Look", "LevelMap", "Suggestion", "DriftCheck"} <= found


# At once -------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_versions_made_at_once_get_a_number_each(transactional_db: None) -> None:
    first = make().versions.get()
    makers = [lambda text=f"Number {n}?": with_text(first, text) for n in range(6)]
    assert all_at_once(makers) == []
    made = PromptVersion.objects.filter(parent=first)
    assert sorted(made.values_list("number", flat=True)) == [2, 3, 4, 5, 6, 7]
    assert len({draft_of(one).keys[-1] for one in made}) == 6
    connection.close()
