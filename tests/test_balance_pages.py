"""Balanced data sets and splits: what is drawn, what is refused, what the pages show."""

import uuid
from collections import Counter
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from annotation.curation import charts, queries, services
from annotation.curation.balance import HP_EDIT, Recipe
from annotation.curation.categorisers import Verdict
from annotation.curation.forms import BalanceForm, SplitsForm
from annotation.models import Candidate, Case, Dataset, Source, StoredImage
from tests import judging

SPLITS = {"train": "80", "dev": "10", "test": "10", "bench": "0", "seed": "1"}


def dataset(cells: dict[tuple[str, str], int], owner: Any = None) -> Dataset:
    """So many cases of each (task, category), each with a source image of its own; "" is uncategorised."""
    name = uuid.uuid4().hex[:8]
    data = Dataset.objects.create(slug=name, name=f"Set {name}", notice="Demo data.", created_by=owner)
    for (task, category), count in cells.items():
        for number in range(count):
            image = judging.stored_image(uuid.uuid4().hex)
            image.save()
            key = f"{task}-{category}-{number}"
            Case.objects.create(
                dataset=data, key=key, source=image, task_id=task, instruction=f"Do {key}", params={"n": number}
            )
            if category:
                services.record(verdicts=[Verdict(image.pk, category, "m", 0.5)])
    return data


def recipe(targets: dict[str, int], share: float = 0.2, seed: int = 1, preset: str = "own") -> Recipe:
    return Recipe(preset, targets, share, seed)


CELLS = {("add", "cat"): 9, ("add", "dog"): 3, ("add", ""): 6, ("swap", "cup"): 5}


# Balanced data sets --------------------------------------------------------------------------------------------------


def test_it_works(bob: Any) -> None:
    data = dataset(CELLS)
    made = services.make_balanced(dataset=data, name="Even one", recipe=recipe({"add": 10, "swap": 2}), by=bob)
    assert queries.cells_of(made) == {"add": {"cat": 7, "dog": 3}, "swap": {"cup": 2}}
    assert (made.slug, made.derived_from, made.created_by, made.notice) == ("even-one", data, bob, "Demo data.")
    assert made.recipe["targets"] == {"add": 10, "swap": 2}
    assert (made.recipe["seed"], made.recipe["uncategorised_share"], made.recipe["from"]) == (1, 0.2, data.slug)
    assert made.recipe["before"] == {"add": {"": 6, "cat": 9, "dog": 3}, "swap": {"cup": 5}}
    assert made.recipe["after"] == {"add": {"cat": 7, "dog": 3}, "swap": {"cup": 2}}
    assert made.recipe["missing"] == {}
    for case in made.cases.all():
        old = data.cases.get(key=case.key)
        assert (case.source, case.task, case.instruction, case.params) == (
            old.source, old.task, old.instruction, old.params,
        )  # fmt: skip
        assert case.uid != old.uid
    assert data.cases.count() == 23  # as it was


def test_every_field_of_a_case_is_copied(db: None) -> None:
    data = dataset({("add", "cat"): 1})
    mask = StoredImage.objects.first()
    Case.objects.update(
        mask=mask, instruction_zh="中", description="d", requirement="r", split="test", attribution="a", licence="l"
    )
    services.make_balanced(dataset=data, name="Copy", recipe=recipe({"add": 1}), by=None)
    own = {"id", "uid", "created_at", "dataset_id"}
    old, new = Case.objects.order_by("pk").values()
    assert {name for name in old if old[name] != new[name]} == own - {"created_at"} | (
        {"created_at"} if old["created_at"] != new["created_at"] else set()
    )


def test_what_is_missing_is_written_down_and_the_uncategorised_keep_to_their_share(db: None) -> None:
    data = dataset(CELLS)
    made = services.make_balanced(dataset=data, name="x", recipe=recipe({"add": 20, "style": 4}, share=0.1), by=None)
    assert queries.cells_of(made) == {"add": {"": 2, "cat": 9, "dog": 3}}
    assert made.recipe["missing"] == {"add": 6, "style": 4}


def test_the_same_seed_draws_the_same_cases(db: None) -> None:
    data, wanted = dataset(CELLS), recipe({"add": 8})
    one = services.make_balanced(dataset=data, name="One", recipe=wanted, by=None)
    two = services.make_balanced(dataset=data, name="Two", recipe=wanted, by=None)
    assert set(one.cases.values_list("key")) == set(two.cases.values_list("key"))


def test_candidates_stay_where_they_are(db: None) -> None:
    data = judging.dataset(cases=2, editors=2)
    made = services.make_balanced(dataset=data, name="New", recipe=recipe({"add": 2}, share=1.0), by=None)
    assert made.cases.count() == 2
    assert Candidate.objects.filter(case__dataset=made).count() == 0
    assert Candidate.objects.filter(case__dataset=data).count() == 4


def test_large_copies_come_in_batches(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "ROWS", 4)
    data = dataset(CELLS)
    made = services.make_balanced(dataset=data, name="All", recipe=recipe({"add": 18, "swap": 5}, share=1.0), by=None)
    assert made.cases.count() == 23


@pytest.mark.parametrize(
    ("name", "targets", "words"),
    [
        ("", {"add": 1}, "at least one letter or digit"),
        ("…", {"add": 1}, "at least one letter or digit"),
        ("Taken", {"add": 1}, "of this name already"),
        ("New", {"style": 3}, "draws no case at all"),
        ("n" * 200, {"add": 1}, "at most 120 characters"),
    ],
)
def test_a_refused_draw_leaves_nothing(db: None, name: str, targets: dict[str, int], words: str) -> None:
    data = dataset(CELLS)
    Dataset.objects.create(slug="taken", name="Taken")
    with pytest.raises(ValidationError, match=words):
        services.make_balanced(dataset=data, name=name, recipe=recipe(targets), by=None)
    assert (Dataset.objects.count(), Case.objects.count()) == (2, 23)


def test_a_failure_in_the_middle_leaves_nothing(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset(CELLS)
    monkeypatch.setattr(services, "ROWS", 4)
    create, calls = Case.objects.bulk_create, []

    def fail(rows: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("the disk is full")
        return create(rows)

    monkeypatch.setattr(Case.objects, "bulk_create", fail)
    with pytest.raises(RuntimeError):
        services.make_balanced(dataset=data, name="x", recipe=recipe({"add": 18}, share=1.0), by=None)
    assert (Dataset.objects.count(), Case.objects.count()) == (1, 23)


# The page ------------------------------------------------------------------------------------------------------------


def test_the_page_previews_then_makes(client: Client, bob: Any) -> None:
    data = dataset(CELLS)
    client.force_login(bob)
    url = reverse("balance", args=[data.uid])
    values = {"preset": "own", "total": "", "share": "10", "seed": "4", "target_add": "20", "target_swap": "2"}
    html = client.get(url, values).content.decode()
    assert "16</dd>" in html  # 9 cats, 3 dogs and 2 uncategorised of 20, and 2 cups
    assert "14 of 20." in html
    assert "4 uncategorised cases are left out" in html
    assert "chart-bar" in html
    assert "style=" not in html
    assert Dataset.objects.count() == 1
    response = client.post(url, {**values, "name": "Balanced"})
    made = Dataset.objects.get(name="Balanced")
    assert response["Location"] == made.get_absolute_url()
    assert (made.cases.count(), made.created_by) == (16, bob)


def test_the_page_opens_with_a_preview(client: Client, bob: Any) -> None:
    client.force_login(bob)
    html = client.get(reverse("balance", args=[dataset(CELLS).uid])).content.decode()
    assert "Would be drawn" in html
    empty = Dataset.objects.create(slug="empty", name="Empty")
    assert client.get(reverse("balance", args=[empty.uid])).status_code == 200


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "at least one letter or digit"),
        ({"share": "101"}, "less than or equal to 100"),
        ({"preset": "nonsense"}, "Select a valid choice"),
        ({"target_add": "", "target_swap": "0"}, "Give at least one task a number."),
        ({"seed": "-1"}, "greater than or equal to 0"),
    ],
)
def test_a_wrong_form_makes_nothing(client: Client, bob: Any, change: dict[str, str], words: str) -> None:
    data = dataset(CELLS)
    client.force_login(bob)
    values = {"preset": "own", "share": "10", "seed": "4", "target_add": "20", "name": "Balanced", **change}
    response = client.post(reverse("balance", args=[data.uid]), values)
    assert response.status_code == 200
    assert words in response.content.decode()
    assert Dataset.objects.count() == 1


@pytest.mark.parametrize(
    ("values", "targets", "share"),
    [
        ({"preset": "hp-edit"}, HP_EDIT, 0.2),
        ({"preset": "hp-edit", "total": "55795"}, HP_EDIT, 0.2),
        ({"preset": "even"}, {"add": 5, "swap": 5}, 0.2),
        ({"preset": "even", "total": "30"}, {"add": 15, "swap": 15}, 0.2),
        ({"preset": "own", "target_add": "3"}, {"add": 3, "swap": 0}, 0.2),
        ({"preset": "all"}, {"add": 18, "swap": 5}, 1.0),
    ],
)
def test_presets(db: None, values: dict[str, str], targets: dict[str, int], share: float) -> None:
    supply = {"add": {"cat": 9, "dog": 3, "": 6}, "swap": {"cup": 5}}
    form = BalanceForm({"share": "20", "seed": "0", **values}, supply=supply)
    assert form.is_valid(), form.errors
    assert (form.recipe().targets, form.recipe().share) == (targets, share)


def test_the_tallest_bar_fills_the_chart() -> None:
    first, second = charts.columns(["a", "b"], [[4, 2], [0, 1]], set_apart="b")
    assert [bar.height for bar in first.bars] == ["82.000%", "0.000%"]
    assert [bar.height for bar in second.bars] == ["41.000%", "20.500%"]
    assert [bar.y for bar in second.bars] == ["41.000%", "61.500%"]
    assert (first.middle, second.middle, first.is_set_apart, second.is_set_apart) == ("25.000%", "75.000%", False, True)
    assert charts.columns([], []) == []


# Splits --------------------------------------------------------------------------------------------------------------


def divide(data: Dataset, near: bool = False, **fractions: float) -> dict[str, int]:
    parts = fractions or {"train": 0.5, "dev": 0.0, "test": 0.5, "bench": 0.0}
    return services.apply_splits(dataset=data, fractions=parts, seed=3, near=near)


def test_no_source_is_in_two_splits(db: None) -> None:
    data = dataset({("add", "cat"): 10, ("swap", "cat"): 10})
    for one, other in zip(data.cases.filter(task="add"), data.cases.filter(task="swap"), strict=True):
        Case.objects.filter(pk=other.pk).update(source=one.source, split="dev")
    assert queries.sources_in_two_splits(data) == 10
    elsewhere = dataset({("add", "cat"): 1})
    Case.objects.filter(dataset=elsewhere).update(source=data.cases.all()[0].source)
    assert divide(data) == {"train": 10, "dev": 0, "test": 10, "bench": 0}
    assert queries.sources_in_two_splits(data) == 0
    assert Counter(data.cases.values_list("task", "split")) == dict.fromkeys(
        [("add", "train"), ("add", "test"), ("swap", "train"), ("swap", "test")], 5
    )
    assert elsewhere.cases.get().split == "train"
    data.refresh_from_db()
    assert data.recipe["splits"]["cases"] == {"train": 10, "dev": 0, "test": 10, "bench": 0}
    assert (data.recipe["splits"]["seed"], data.recipe["splits"]["near_duplicate_bits"]) == (3, None)


def test_near_duplicates_stay_together(db: None) -> None:
    data = dataset({("add", "cat"): 8})
    for number, image in enumerate(queries.sources_of(data).order_by("pk")):
        Source.objects.filter(image=image).update(phash=f"{(number // 2) * 0x1111111111111111:016x}")
    divide(data, near=True)
    assert [len(group.images) for group in queries.near_duplicates(data)] == [2, 2, 2, 2]
    assert not any(group.is_divided for group in queries.near_duplicates(data))


def test_near_duplicates_need_hashes(db: None) -> None:
    with pytest.raises(ValidationError, match="3 source images have no perceptual hash yet"):
        divide(dataset({("add", "cat"): 3}), near=True)


def test_a_data_set_with_a_study_keeps_its_splits(db: None) -> None:
    data = judging.dataset(cases=4)
    judging.study(data)
    with pytest.raises(ValidationError, match="its exports name their splits"):
        divide(data)
    assert set(data.cases.values_list("split", flat=True)) == {"train"}
    copy = services.make_balanced(dataset=data, name="Copy", recipe=recipe({"add": 4}, 1.0), by=None)
    assert divide(copy) == {"train": 2, "dev": 0, "test": 2, "bench": 0}


def test_a_data_set_without_cases_cannot_be_divided(db: None) -> None:
    with pytest.raises(ValidationError, match="no cases yet"):
        divide(Dataset.objects.create(slug="empty", name="Empty"))


def test_the_form_divides(client: Client, alice: Any, bob: Any) -> None:
    data = dataset({("add", "cat"): 20}, owner=bob)
    client.force_login(bob)
    url = reverse("splits", args=[data.uid])
    wrong = client.post(url, {**SPLITS, "train": "90"})
    assert "The parts must sum to 100 %." in wrong.content.decode()
    refused = client.post(url, {**SPLITS, "near": "on"})
    assert "have no perceptual hash yet" in refused.content.decode()
    assert set(data.cases.values_list("split", flat=True)) == {"train"}
    response = client.post(url, SPLITS)
    assert response["Location"] == reverse("balance", args=[data.uid])
    assert Counter(data.cases.values_list("split", flat=True)) == {"train": 16, "dev": 2, "test": 2}
    assert queries.split_figures(data) == [
        ("Training", 16, 16), ("Development", 2, 2), ("Test", 2, 2), ("Benchmark", 0, 0),
    ]  # fmt: skip


def test_fractions_of_the_form(db: None) -> None:
    form = SplitsForm({**SPLITS, "train": "79.995"})  # rounding in a field is forgiven
    assert form.is_valid()
    assert sum(form.fractions().values()) == pytest.approx(1.0, abs=1e-9)
