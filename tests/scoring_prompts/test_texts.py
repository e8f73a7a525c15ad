"""The shipped prompts: complete, sound, in words of our own, and rows after the migration."""

import re

import pytest

from annotation.library import load_tasks
from annotation.models import Task
from scoring.judging.render import CaseFacts, PromptText, parse, render
from scoring.models import Prompt, PromptVersion
from scoring.prompts.checks import problems
from scoring.prompts.loading import load_prompts
from scoring.prompts.services import draft_of
from scoring.prompts.texts import FILES, FOLDER, Shipped, read, shipped

EIGHT = {"add", "remove", "swap", "color", "background", "bokeh", "relight", "style"}
FILE = """
low = 0
high = 5
dimension = "overall"
preamble = "Look."
rubric = "0 to 5."
[[prompts]]
slug = "one"
name = "One"
[prompts.refined]
note = "First questions."
rubric = "5 to 0."
questions = [{ key = "a", text = "Is it\\n there?" }, { key = "b", text = "Is it whole?" }]
"""


def by_slug() -> dict[str, Shipped]:
    return {found.slug: found for found in shipped()}


def test_a_file_is_read() -> None:
    (found,) = read(FILE)
    base, refined = found.versions
    assert (found.slug, found.task, found.low, found.high) == ("one", None, 0, 5)
    assert (base.draft.preamble, base.draft.rubric, base.draft.questions) == ("Look.", "0 to 5.", ())
    assert (refined.draft.preamble, refined.draft.rubric) == ("Look.", "5 to 0.")
    assert refined.draft.questions == (("a", "Is it there?", True), ("b", "Is it whole?", True))
    assert refined.note == "First questions."


def test_two_questions_of_one_key_are_refused() -> None:
    with pytest.raises(ValueError, match="Two questions of one have the same key"):
        read(FILE.replace('"b"', '"a"'))


def test_every_file_is_listed() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(FILES)


def test_the_eight_tasks_have_a_prompt_from_0_to_5() -> None:
    ours = [found for found in shipped() if found.slug.startswith("hp-")]
    assert {found.task for found in ours} == EIGHT
    assert all((found.low, found.high, found.dimension) == (0, 5, "overall") for found in ours)
    assert all(5 <= len(found.versions[1].draft.questions) <= 9 for found in ours)


@pytest.mark.parametrize(
    ("slug", "dimension", "low", "high"),
    [
        ("editreward-following", "following", 1, 4),
        ("editreward-quality", "quality", 1, 4),
        ("edithf-quality", "quality", 1, 5),
        ("edithf-alignment", "alignment", 1, 5),
        ("edithf-preservation", "preservation", 1, 5),
        ("gedit-sc", "consistency", 0, 9),
        ("gedit-pq", "perceptual", 0, 9),
    ],
)
def test_dimensions_of_the_others(slug: str, dimension: str, low: int, high: int) -> None:
    found = by_slug()[slug]
    assert (found.task, found.dimension, found.low, found.high) == (None, dimension, low, high)


@pytest.mark.parametrize("slug", list(by_slug()))
def test_every_version_is_sound(slug: str) -> None:
    """Nothing a person could not have typed; each score of the scale is explained; the judge's parts come out again."""
    found = by_slug()[slug]
    base, *refined = found.versions
    assert base.draft.questions == ()
    assert all(version.note and version.draft.questions for version in refined)
    assert refined or slug == "reward"
    facts = CaseFacts("Object removal", "Remove the red ball.", "The dog stays.")
    for version in found.versions:
        draft = version.draft
        assert problems(draft, version.note) == []
        scores = re.findall(r"^(\d)[:,]", draft.rubric, re.MULTILINE)
        assert [int(score) for score in scores] == list(range(found.high, found.low - 1, -1))
        assert f"from {found.low} to {found.high}" in draft.rubric
        assert all(line.text.endswith("?") for line in draft.questions)
        asked = tuple(line.text for line in draft.questions)
        text = render(PromptText(draft.preamble, asked, draft.rubric, found.low, found.high), facts)
        assert "{" not in text.partition("# Answer")[0]
        assert parse(text).questions == asked
        assert parse(text).rubric == draft.rubric


# Rows ----------------------------------------------------------------------------------------------------------------


def test_a_reward_model_is_asked_no_question() -> None:
    found = by_slug()["reward"]
    assert (found.task, found.dimension, found.low, found.high, len(found.versions)) == (None, "reward", 1, 5, 1)


def test_they_are_rows_with_their_versions(db: None) -> None:
    load_tasks()
    load_prompts()
    assert set(Prompt.objects.values_list("slug", flat=True)) == set(by_slug())
    for prompt in Prompt.objects.prefetch_related("versions__questions"):
        versions = list(prompt.versions.all())
        assert [version.number for version in versions] == list(range(1, len(versions) + 1))
        assert [version.parent for version in versions] == [None, *versions[:-1]]
        assert [draft_of(version) for version in versions] == [one.draft for one in by_slug()[prompt.slug].versions]
        assert not any(version.is_trial for version in versions)


def test_loading_again_changes_nothing(db: None) -> None:
    load_tasks()
    load_prompts()
    version = PromptVersion.objects.get(prompt__slug="hp-add", number=2)
    version.note = "mine"
    version.save()
    for number in (2, 1):
        PromptVersion.objects.get(prompt__slug="hp-style", number=number).delete()
    Prompt.objects.get(slug="hp-style").delete()
    assert load_prompts() == 1
    assert PromptVersion.objects.get(pk=version.pk).note == "mine"
    assert Prompt.objects.get(slug="hp-style").task == Task.objects.get(slug="style")
