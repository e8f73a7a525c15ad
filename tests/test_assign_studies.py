"""A new study's raters by split, blocks of large groups, and the form's settings of the way in and of checks."""

from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from annotation.blocks import hang_together
from annotation.forms import FOLDS, StudyForm
from annotation.models import Candidate, Study
from annotation.protocols import PRESETS, Checks, Entry, Protocol
from tests import judging
from tests.judging import dataset
from tests.test_studies import desk, filled, nothing_was_made

__all__ = ["desk"]  # a fixture


def test_a_split_has_raters_of_its_own(db: None) -> None:
    data = dataset(cases=3, editors=2)
    data.cases.filter(key="case-001").update(split="test")
    data.cases.filter(key="case-002").update(split="dev")
    study = judging.study(data, protocol=replace(PRESETS["mos"], split_raters={"test": 15}))
    assert Counter(study.units.values_list("item__case__split", "target")) == {
        ("train", 5): 2,
        ("test", 15): 2,
        ("dev", 5): 2,
    }


# Blocks -------------------------------------------------------------------------------------------------------------


def blocks_of(study: Study) -> dict[str, list[set[int]]]:
    """The candidates of each item, by case."""
    found = defaultdict(list)
    for item in study.items.select_related("case").order_by("pk"):
        found[item.case.key].append(set(item.candidates.values_list("pk", flat=True)))
    return found


def in_blocks(size: int = 5, times: int = 3) -> Protocol:
    return replace(PRESETS["group-rank"], block=size, block_times=times)


def test_a_large_group_is_shown_in_blocks(db: None) -> None:
    """More candidates than there are letters: 25 in blocks of five, each in three of them."""
    study = judging.study(dataset(cases=2, editors=1, seeds=25), "group-rank", protocol=in_blocks())
    for blocks in blocks_of(study).values():
        assert [len(block) for block in blocks] == [5] * 15
        assert set(Counter(key for block in blocks for key in block).values()) == {3}
        assert hang_together(blocks)
    one, other = blocks_of(study).values()
    assert len({min(block) - min(set.union(*one)) for block in one}) > 1
    ranks = [[sorted(sorted(set.union(*some)).index(key) for key in block) for block in some] for some in (one, other)]
    assert sorted(ranks[0]) != sorted(ranks[1]), "each case has its candidates at other places of the design"
    assert study.units.count() == 2 * 15 * 3
    assert {row.case_id for row in study.items.all()} == set(study.dataset.cases.values_list("pk", flat=True))


def test_a_group_no_larger_than_a_block_stays_whole(db: None) -> None:
    data = dataset(cases=2, editors=3, seeds=2)
    Candidate.objects.filter(case__key="case-001", seed=1).exclude(editor__slug="editor-0").delete()
    study = judging.study(data, "group-rank", protocol=in_blocks(4, 2))
    assert [len(block) for block in blocks_of(study)["case-000"]] == [4, 4, 4]
    assert [len(block) for block in blocks_of(study)["case-001"]] == [4]


def test_blocks_are_drawn_by_the_studys_seed(db: None) -> None:
    data = dataset(cases=1, editors=3, seeds=3)
    drawn = [blocks_of(judging.study(data, protocol=in_blocks(3, 2), seed=seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_blocks_that_could_not_be_joined_are_refused(db: None) -> None:
    with pytest.raises(ValidationError, match="in two blocks or more"):
        judging.study(dataset(cases=1, editors=3, seeds=3), protocol=in_blocks(3, 1))
    assert nothing_was_made()


# The form -----------------------------------------------------------------------------------------------------------


EVERYTHING = {
    "raters": 4,
    "raters_train": 1,
    "raters_test": 15,
    "block": 5,
    "block_times": 4,
    "consent": "I *agree*.",
    "viewing": "on",
    "least_width": 1280,
    "pass_mark": 75,
    "tries": 3,
    "gold_every": 12,
    "attention_every": 30,
    "repeat_every": 20,
    "source_share": 10,
    "duplicate_share": 5,
    "least_seconds": 1.5,
    "straight_run": 8,
    "allowed": 0,
    "least": 6,
}


def test_the_form_has_a_field_for_every_setting(db: None) -> None:
    form = StudyForm(filled(dataset(), preset="group-rank", **EVERYTHING))
    assert form.is_valid(), form.errors
    assert form.protocol() == replace(
        PRESETS["group-rank"],
        raters=4,
        split_raters={"train": 1, "test": 15},
        block=5,
        block_times=4,
        entry=Entry(consent="I *agree*.", viewing=True, least_width=1280, pass_mark=0.75, tries=3),
        checks=Checks(
            gold_every=12,
            attention_every=30,
            repeat_every=20,
            source_share=0.1,
            duplicate_share=0.05,
            least_seconds=1.5,
            straight_run=8,
            allowed=0.0,
            least=6,
        ),
    )
    assert form.protocol() == Protocol.from_json(form.protocol().to_json())


def test_settings_are_folded_and_open_where_something_is_wrong(desk: Client) -> None:
    page = desk.get(reverse("new_study")).content.decode()
    assert page.count("<details>") == len(FOLDS) == 3
    assert all(f'name="{name}"' in page for name in EVERYTHING)
    answer = desk.post(reverse("new_study"), filled(dataset(), tries=99))
    assert [fold.is_open for fold in answer.context["form"].folds] == [False, True, False]
    assert answer.content.decode().count("<details open>") == 1


@pytest.mark.parametrize(
    ("preset", "field", "value", "words"),
    [
        ("mos", "block", 5, "Blocks are for rankings"),
        ("pairwise", "block", 5, "Blocks are for rankings"),
        ("pairwise", "source_share", 10, "comparison of two"),
        ("pairwise", "duplicate_share", 10, "comparison of two"),
    ],
)
def test_what_the_protocol_has_no_place_for_is_refused_in_words(
    desk: Client, preset: str, field: str, value: int, words: str
) -> None:
    answer = desk.post(reverse("new_study"), filled(dataset(), preset=preset) | {field: value})
    assert list(answer.context["form"].errors) == [field]
    assert words in answer.content.decode()
    assert nothing_was_made()
