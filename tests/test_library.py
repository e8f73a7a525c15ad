"""Small services of the library: tasks, editors, and the hashes by which content is known again."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.library import dataset_hash, ensure_editor, load_tasks, settings_hash
from annotation.models import Candidate, Case, Category, Dataset, Editor, Source, StoredImage, Task, TaskGroup
from tests.judging import dataset, stored_image

HP_EDIT = {"add", "remove", "swap", "color", "background", "bokeh", "relight", "style"}
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)


def kept(name: str) -> StoredImage:
    """A picture's row: one for each name, as equal files are kept once."""
    image = stored_image(name)
    found = StoredImage.objects.filter(sha256=image.sha256).first()
    if found is None:
        image.save()
    return found or image


def content(order: list[int], slug: str = "set") -> Dataset:
    """The same three cases with two candidates each, whose rows are made in any order."""
    data = Dataset.objects.create(slug=slug, name=slug)
    keys = ["b", "A", "ä"]
    editors = [ensure_editor(slug=name, name=name) for name in ("good", "poor")]
    for index in order:
        values = {"source": kept(f"s{index}"), "instruction": f"Edit {index}", "params": {"x": 1, "a": 2}}
        case = Case.objects.create(dataset=data, key=keys[index], task_id="add", **values)
        for editor in editors if index else editors[::-1]:
            image = kept(f"c{index}-{editor.slug}")
            values = {"editor": editor, "image": image, "seed": 3, "settings_hash": settings_hash({"k": 1})}
            Candidate.objects.create(case=case, **values)
    return data


# Tasks --------------------------------------------------------------------------------------------------------------


def test_it_works(db: None) -> None:
    """43 tasks in the four groups, with HP-Edit's eight among them."""
    assert Task.objects.count() == 43
    groups = Counter(Task.objects.values_list("group", flat=True))
    assert set(groups) == set(TaskGroup.values)
    assert min(groups.values()) >= 5
    assert set(Task.objects.filter(is_hp_edit=True).values_list("slug", flat=True)) == HP_EDIT
    assert all(task.name and task.description for task in Task.objects.all())
    assert len({task.name for task in Task.objects.all()}) == 43


def test_loading_tasks_again_repairs_and_adds_nothing(db: None) -> None:
    before = list(Task.objects.values())
    Task.objects.filter(slug="bokeh").update(name="Spoilt", position=999)
    Task.objects.exclude(prompts__isnull=False).order_by("position")[0].delete()
    assert load_tasks() == 43
    assert list(Task.objects.values()) == before


# Settings and editors -----------------------------------------------------------------------------------------------


@given(st.dictionaries(st.text(max_size=5), scalars, max_size=6), st.randoms())
def test_settings_hash_does_not_depend_on_the_order_of_keys(settings: dict[str, Any], chance: Any) -> None:
    items = list(settings.items())
    chance.shuffle(items)
    assert settings_hash(dict(items)) == settings_hash(settings)
    assert settings_hash(json.loads(json.dumps(settings))) == settings_hash(settings)
    assert len(settings_hash(settings)) == 16
    assert int(settings_hash(settings), 16) >= 0


@given(st.dictionaries(st.text(max_size=5), scalars, max_size=4), st.text(max_size=5), st.integers())
def test_other_settings_have_another_hash(settings: dict[str, Any], key: str, value: int) -> None:
    changed = settings | {key: value}
    assert (settings_hash(changed) == settings_hash(settings)) == (json.dumps(changed) == json.dumps(settings))


def test_an_editor_is_made_once_and_brought_up_to_date(db: None) -> None:
    first = ensure_editor(slug="careful", name="Careful")
    again = ensure_editor(
        slug="careful", name="Careful edits", module="classical", settings={"variant": "careful"}, notice="Classical."
    )
    assert first.pk == again.pk
    assert Editor.objects.count() == 1
    found = Editor.objects.get()
    assert (found.name, found.module, found.settings, found.notice) == (
        "Careful edits",
        "classical",
        {"variant": "careful"},
        "Classical.",
    )


# The hash of a data set ---------------------------------------------------------------------------------------------


def test_the_order_of_rows_does_not_change_a_data_sets_hash(db: None) -> None:
    first, second = content([0, 1, 2], "one"), content([2, 0, 1], "two")
    assert dataset_hash(first) == dataset_hash(second)
    assert len(dataset_hash(first)) == 64


def test_the_hash_is_the_same_on_every_database(db: None) -> None:
    """Databases sort text in different ways; the hash of the same content must not show it."""
    assert dataset_hash(content([0, 1, 2])) == "8e732d4bcfbe972eef8d408cac13e0aa0f47a4e041e2c21e150c01f9ed8f4550"


@pytest.mark.parametrize("numbers", [(1e16, 10**16), (1.0, 1), (-0.0, 0), (1.5e300, 15 * 10**299)])
def test_a_number_has_one_form_in_the_hash(db: None, numbers: tuple[float, int]) -> None:
    """One database gives 1e16 back as it was written, another as a whole number."""
    data = content([0, 1, 2])
    found = set()
    for number in numbers:
        data.cases.update(params={"x": [number, {"y": number}], "z": 0.5, "t": True})
        Candidate.objects.filter(case__dataset=data).update(settings={"x": number})
        found.add(dataset_hash(data))
    data.cases.update(params={"x": [numbers[1] + 1, {"y": numbers[1]}], "z": 0.5, "t": True})
    assert len(found) == 1
    assert dataset_hash(data) not in found


def test_names_and_notices_are_no_content(db: None) -> None:
    data = content([0, 1, 2])
    before = dataset_hash(data)
    data.name, data.description, data.notice = "Another name", "About it.", "Demo data."
    data.save()
    dataset(cases=2)  # rows of another data set
    assert dataset_hash(data) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.cases.filter(key="A").update(key="a"),
        lambda data: data.cases.filter(key="A").update(instruction="Another edit"),
        lambda data: data.cases.filter(key="A").update(instruction_zh="编辑"),
        lambda data: data.cases.filter(key="A").update(description="What it should look like"),
        lambda data: data.cases.filter(key="A").update(requirement="Keep the sky"),
        lambda data: data.cases.filter(key="A").update(task="remove"),
        lambda data: data.cases.filter(key="A").update(split="test"),
        lambda data: data.cases.filter(key="A").update(params={"x": 2, "a": 2}),
        lambda data: data.cases.filter(key="A").update(source=kept("another")),
        lambda data: data.cases.filter(key="A").update(mask=kept("another")),
        lambda data: data.cases.filter(key="A").update(attribution="Another author"),
        lambda data: data.cases.filter(key="A").update(licence="CC0"),
        lambda data: Source.objects.create(image=data.cases.get(key="A").source, category=Category.objects.all()[0]),
        lambda data: Candidate.objects.filter(case__key="A").first().delete(),
        lambda data: Candidate.objects.filter(case__key="A", editor__slug="good").update(image=kept("another")),
        lambda data: Candidate.objects.filter(case__key="A", editor__slug="good").update(seed=4),
        lambda data: Candidate.objects.filter(case__key="A", editor__slug="good").update(settings_hash="f" * 16),
        lambda data: Candidate.objects.filter(case__key="A", editor__slug="good").update(settings={"k": 2}),
        lambda data: Candidate.objects.filter(case__key="A", editor__slug="good").update(noise_seed=1),
        lambda data: Candidate.objects.filter(case__key="A", editor__slug="good").update(fault="blank"),
        lambda data: Candidate.objects.filter(case__key="A", editor__slug="good").update(fault_note="Why"),
        lambda data: Candidate.objects.filter(case__key="A", editor__slug="good").update(fault_kept=False),
        lambda data: Editor.objects.filter(slug="good").update(slug="better"),
    ],
)
def test_any_change_of_content_changes_the_hash(db: None, change: Callable[[Dataset], object]) -> None:
    data = content([0, 1, 2])
    before = dataset_hash(data)
    change(data)
    assert dataset_hash(data) != before


def test_an_empty_data_set_has_a_hash(db: None) -> None:
    assert len(dataset_hash(Dataset.objects.create(slug="empty", name="Empty"))) == 64
