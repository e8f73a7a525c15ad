"""The pages of prompts: what they show and what they cost, and the form in which nothing typed is lost."""

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.library import load_tasks
from annotation.models import Dataset, Task
from scoring.models import Activation, Judge, Prompt, PromptVersion
from scoring.prompts import services
from scoring.prompts.drafts import Draft, Line
from scoring.prompts.forms import VersionForm
from scoring.prompts.loading import load_prompts
from scoring.prompts.queries import summary
from scoring.prompts.services import create_version, draft_of
from tests import judging

CHANGED = {"preamble": "Look.", "rubric": "0 to 5.", "note": "Shorter."}


@pytest.fixture
def engineer(bob: Any) -> Client:
    load_tasks()
    load_prompts()
    client = Client()
    client.force_login(bob)
    return client


def version(slug: str = "hp-add", number: int = 2) -> PromptVersion:
    return PromptVersion.objects.select_related("prompt").get(prompt__slug=slug, number=number)


def url(name: str = "prompt_version", slug: str = "hp-add", number: int = 2) -> str:
    return reverse(name, args=[slug, number])


def page(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status
    return " ".join(answer.content.decode().split())


def rows(*lines: tuple[str, str, bool]) -> dict[str, Any]:
    """Questions as the form sends them; the numbers of the rows are in no order."""
    numbers = [str(7 * (place + 3) % 50) for place in range(len(lines))]
    sent: dict[str, Any] = {"question": numbers}
    for number, (key, text, is_on) in zip(numbers, lines, strict=True):
        sent |= {f"question-key-{number}": key, f"question-text-{number}": text}
        sent |= {f"question-on-{number}": "on"} if is_on else {}
    return sent


def activate(found: PromptVersion, task: str = "add") -> None:
    judge = Judge.objects.get_or_create(slug="j", defaults={"name": "J", "kind": "replay"})[0]
    values = {"dimension": found.prompt.dimension, "judge": judge, "figures": {}}
    Activation.objects.create(task=Task.objects.get(slug=task), version=found, **values)


# Lists ---------------------------------------------------------------------------------------------------------------


def test_the_list(engineer: Client) -> None:
    activate(version())
    text = page(engineer, reverse("prompts"))
    assert "HP score: object addition" in text
    assert "editreward-quality" in text
    assert "every task" in text
    assert "v2: Object addition" in text
    assert f'href="{url()}"' in text
    assert '<a href="/prompts/" aria-current="page">Prompts</a>' in text


def test_the_list_of_one_task(engineer: Client) -> None:
    text = page(engineer, reverse("prompts") + "?task=add")
    assert "hp-add" in text
    assert "hp-remove" not in text
    assert "There is no prompt for this task" in page(engineer, reverse("prompts") + "?task=weather")


def test_an_ended_activation_is_not_shown(engineer: Client) -> None:
    activate(version())
    Activation.objects.update(ended_at=Activation.objects.get().created_at)
    assert "v2: Object addition" not in page(engineer, reverse("prompts"))


def grow_prompts(count: int) -> None:
    for number in range(count):
        made = services.create_prompt(
            name=f"P{number} of {count}",
            task=None,
            dimension="overall",
            low=0,
            high=5,
            preamble="P",
            rubric="R",
            by=None,
        )
        judge = Judge.objects.get_or_create(slug="j", defaults={"name": "J", "kind": "replay"})[0]
        task = Task.objects.create(slug=made.slug, name=made.slug, group="global", position=99)
        Activation.objects.create(task=task, dimension="d", version=made.versions.get(), judge=judge, figures={})


def grow_versions(count: int) -> None:
    parent = version()
    for number in range(count):
        questions = [*draft_of(parent).questions, ("", f"{number} of {count}?", True)]
        parent = create_version(parent=parent, preamble="P", rubric=f"R{number} {count}", questions=questions, by=None)


@pytest.mark.parametrize(
    ("address", "grow", "most"),
    [
        ("/prompts/", grow_prompts, 7),
        ("/prompts/hp-add/", grow_versions, 13),
        ("/prompts/hp-add/2/", grow_versions, 16),
    ],
)
def test_a_longer_list_costs_no_more_queries(engineer: Client, address: str, grow: Any, most: int) -> None:
    costs = []
    for count in (3, 9):
        grow(count)
        page(engineer, address)
        with CaptureQueriesContext(connection) as queries:
            page(engineer, address)
        costs.append(len(queries))
    assert costs[0] == costs[1], queries.captured_queries
    assert costs[1] <= most


def test_lists_come_in_pages(engineer: Client) -> None:
    grow_prompts(40)
    text = page(engineer, reverse("prompts"))
    assert text.count('scope="row"') == 50
    assert "?after=" in text
    PromptVersion.objects.bulk_create(
        PromptVersion(prompt=version().prompt, number=number, preamble="P", rubric="R") for number in range(3, 60)
    )
    assert page(engineer, reverse("prompt", args=["hp-add"])).count('scope="row"') == 50


def test_a_prompts_versions(engineer: Client, bob: Any) -> None:
    made = create_version(parent=version(), preamble="P", rubric="R", questions=[], note="All out.", by=bob)
    tried = create_version(parent=made, preamble="P", rubric="R2", questions=[], by=None, is_trial=True)
    activate(made)
    text = page(engineer, made.prompt.get_absolute_url())
    assert "All out." in text
    assert "9 questions taken away, preamble changed, rubric changed" in text
    assert '<span class="badge good">active</span>' in text
    assert ">bob<" in text
    assert tried.get_absolute_url() + '"' not in text
    assert url("new_prompt_version", number=3) in text  # a trial is nothing to go on from
    both = page(engineer, made.prompt.get_absolute_url() + "?trials=1")
    assert tried.get_absolute_url() + '"' in both
    assert '<span class="badge">trial</span>' in both


def test_a_summary_of_every_kind() -> None:
    from scoring.prompts.diffs import diff

    old = Draft("P", "R", (Line("a", "A"), Line("b", "B"), Line("c", "C"), Line("d", "D", False), Line("e", "E")))
    new = Draft("P", "R", (Line("b", "B2"), Line("c", "C", False), Line("d", "D"), Line("a", "A"), Line("f", "F")))
    assert summary(diff(old, new)) == (
        "1 question added, 1 question taken away, 1 question reworded, 1 question moved, 1 question switched on, "
        "1 question switched off"
    )
    assert summary(diff(old, old)) == ""


# A version -----------------------------------------------------------------------------------------------------------


def test_a_version(engineer: Client) -> None:
    text = page(engineer, url())
    assert "Changes against v1" in text
    assert "Does picture B show the thing that was to be added" in text
    assert '<pre class="log" tabindex="0">You are a careful judge' in text
    assert "this is an example" in text
    assert "# Answer Answer with one JSON object" in text


def test_the_preview_is_of_the_newest_case_of_the_task(engineer: Client) -> None:
    judging.dataset(cases=2, notice="Demo data.")
    text = page(engineer, url())
    assert "Instruction: Edit 1" in text
    assert "Task: Object addition" in text
    assert "Demo data." in text
    other = page(engineer, url(slug="hp-remove"))
    assert "this is an example" in other
    assert "Demo data." not in other
    assert "Instruction: Edit 1" in page(engineer, url(slug="edithf-quality"))  # for every task


def test_hostile_texts_are_text(engineer: Client) -> None:
    made = create_version(
        parent=version(), preamble="<script>p</script>", rubric="<b>", questions=[("", "<img src=x>?", True)], by=None
    )
    Dataset.objects.all().delete()
    for address in (made.get_absolute_url(), url("new_prompt_version", number=3)):
        text = page(engineer, address)
        assert "&lt;script&gt;p" in text
        assert "&lt;img src=x&gt;?" in text
        assert "<script>p" not in text


def test_a_version_against_another(engineer: Client) -> None:
    create_version(parent=version(), preamble="P", rubric="R", questions=[], by=None)
    assert "Changes against v1" in page(engineer, url(number=3) + "?with=1")
    for nothing in ("99", "x", "9" * 5000, "-1", ""):
        assert "Changes against v2" in page(engineer, url(number=3) + f"?with={nothing}")


@pytest.mark.parametrize("name", ["prompt_version", "new_prompt_version"])
@pytest.mark.parametrize("number", [3, 0, 10**30])
def test_what_is_not_there(engineer: Client, name: str, number: int) -> None:
    assert engineer.get(url(name, number=number)).status_code == 404
    assert engineer.get(url(name, slug="nothing")).status_code == 404
    assert engineer.get(reverse("prompt", args=["nothing"])).status_code == 404


def test_a_trial_is_deleted(engineer: Client) -> None:
    create_version(parent=version(), preamble="P", rubric="R", questions=[], by=None, is_trial=True)
    assert "Delete the trial" in page(engineer, url(number=3))
    answer = engineer.post(url("drop_prompt_trial", number=3), follow=True)
    assert "The trial was deleted." in answer.content.decode()
    assert not PromptVersion.objects.filter(number=3).exists()
    kept = engineer.post(url("drop_prompt_trial"), follow=True)
    assert "Only trial versions can be deleted." in kept.content.decode()


# New versions --------------------------------------------------------------------------------------------------------


def test_the_form_begins_with_the_parent(engineer: Client) -> None:
    text = page(engineer, url("new_prompt_version"))
    assert text.count('name="question" value="') == 9 + 1  # and the row to copy
    assert 'name="question-key-0" value="source"' in text
    assert 'name="question-on-8" value="on" checked' in text


def test_a_new_version(engineer: Client, bob: Any) -> None:
    lines = [("there", "Is it there?", True), ("", "Is it blue?", True), ("source", "Is A sound?", False)]
    answer = engineer.post(url("new_prompt_version"), {**CHANGED, **rows(*lines)})
    made = version(number=3)
    assert (answer.status_code, answer["Location"]) == (302, made.get_absolute_url())
    assert (made.parent, made.author, made.note, made.is_trial) == (version(), bob, "Shorter.", False)
    assert draft_of(made).questions == (
        Line("there", "Is it there?"),
        Line("q1", "Is it blue?"),
        Line("source", "Is A sound?", False),
    )


def test_what_was_typed_comes_back_with_the_errors_beside_it(engineer: Client) -> None:
    lines = [("there", "", True), ("", "Is {it} blue?", False), ("source", "Is A sound?", True)]
    sent = {**CHANGED, **rows(*lines), "preamble": "Only this.", "rubric": ""}
    text = engineer.post(url("new_prompt_version"), sent).content.decode()
    assert "Only this." in text
    assert "Shorter." in text
    first, second, third = text.partition("<template>")[0].split('<li class="question-row')[1:]
    assert "Write the question, or take it away." in first
    assert "There is no placeholder {it}." in second
    assert "Is {it} blue?" in second
    assert "checked" not in second
    assert 'aria-invalid="true"' not in third
    assert ">Is A sound?</textarea>" in third
    assert 'id="id_rubric_error"' in text
    assert "Look at the questions that are marked below." in text
    assert PromptVersion.objects.filter(prompt__slug="hp-add").count() == 2


def test_nothing_changed_is_said(engineer: Client) -> None:
    draft = draft_of(version())
    sent = {"preamble": draft.preamble, "rubric": draft.rubric, "note": "Mine", **rows(*draft.questions)}
    text = engineer.post(url("new_prompt_version"), sent).content.decode()
    assert "Nothing was changed" in text
    assert 'value="Mine"' in text


def test_rows_that_are_none_of_ours_are_passed_over(engineer: Client) -> None:
    sent = {**CHANGED, "question": ["x", "-1", "1" * 9, "2", "2"], "question-text-2": "Is it there?"}
    engineer.post(url("new_prompt_version"), sent)
    assert draft_of(version(number=3)).questions == (Line("q1", "Is it there?", False),)


def test_a_key_of_another_prompt_is_refused(engineer: Client) -> None:
    sent = {**CHANGED, **rows(("gone", "Is it gone?", True))}
    assert "mixed up" in engineer.post(url("new_prompt_version"), sent).content.decode()


def test_a_form_with_a_prefix_for_pages_that_embed_it(db: None) -> None:
    sent = QueryDict("v-preamble=P&v-rubric=R&v-question=4&v-question=1&v-question-text-1=B?&v-question-text-4=A?")
    form = VersionForm(sent, prefix="v")
    assert form.is_valid()
    assert form.content() == {
        "preamble": "P",
        "rubric": "R",
        "questions": [("", "A?", False), ("", "B?", False)],
        "note": "",
    }
    assert form.question_name == "v-question"
    assert [row.number for row in VersionForm(start=Draft("P", "R", (Line("a", "A"), Line("b", "B", False)))).rows] == [
        1,
        None,
    ]


# New prompts ---------------------------------------------------------------------------------------------------------

PROMPT = {**CHANGED, "name": "Weather", "task": "weather", "dimension": "overall", "low": "0", "high": "5"}


def test_a_new_prompt(engineer: Client, bob: Any) -> None:
    assert "You are a careful judge" in page(engineer, reverse("new_prompt"))
    answer = engineer.post(reverse("new_prompt"), {**PROMPT, **rows(("", "Does it rain?", True))})
    made = Prompt.objects.get(slug="weather")
    assert (answer.status_code, answer["Location"]) == (302, made.get_absolute_url())
    assert (made.task_id, made.created_by, made.versions.get().text.questions) == ("weather", bob, ("Does it rain?",))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": "HP remove"}, "There is a prompt of this name already."),
        ({"name": ""}, "This field is required."),
        ({"name": "天气"}, "Use another name"),
        ({"low": "5"}, "must be above the lowest"),
        ({"high": "10"}, "less than or equal to 9"),
        ({"low": "-1"}, "greater than or equal to 0"),
        ({"task": "nothing"}, "Select a valid choice"),
        ({"dimension": "Over all"}, "Use small letters"),
        ({"rubric": "See {x}."}, "There is no placeholder {x}."),
        ({"note": "x" * 501}, "at most 500"),
        ({"preamble": "a\x00b"}, "Null characters"),
    ],
)
def test_a_new_prompt_is_refused(engineer: Client, values: dict[str, str], words: str) -> None:
    before = Prompt.objects.count()
    answer = engineer.post(reverse("new_prompt"), {**PROMPT, **values})
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert Prompt.objects.count() == before


def test_another_task_has_the_preview_of_its_own_cases(engineer: Client, tmp_path: Path) -> None:
    engineer.post(reverse("new_prompt"), PROMPT)
    assert "Weather" in page(engineer, url(slug="weather", number=1))


def test_services_refuse_what_forms_would_not_send(engineer: Client) -> None:
    with pytest.raises(ValidationError):
        create_version(parent=version(), preamble="", rubric="", questions=[], by=None)
