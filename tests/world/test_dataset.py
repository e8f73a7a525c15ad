"""The import folder of the drawn world, and the faults planted in it."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from drawnworld.dataset import write_dataset
from drawnworld.edits import TASKS, Edit, apply, draw_pair
from drawnworld.flaws import ATTEMPTS, wrong_edit
from drawnworld.render import render
from drawnworld.scene import Scene
from drawnworld.score import true_score


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("world") / "drawn"
    write_dataset(path, 11, 24)
    return path


def test_the_folder_can_be_imported(folder: Path) -> None:
    cases, candidates = rows(folder / "cases.jsonl"), rows(folder / "candidates.jsonl")
    assert len({case["key"] for case in cases}) == len(cases) == 24
    assert {case["task"] for case in cases} == set(TASKS)
    assert {case["split"] for case in cases} <= {"train", "dev", "test", "bench"}
    assert all(Image.open(folder / case[name]).size == (64, 64) for case in cases for name in ("source", "mask"))
    assert len(candidates) == 24 * len(ATTEMPTS)
    assert {row["case"] for row in candidates} == {case["key"] for case in cases}
    assert all(isinstance(row["seed"], int) and isinstance(row["settings"], dict) for row in candidates)
    assert all(Image.open(folder / row["file"]).size == (64, 64) for row in candidates)


def test_params_give_back_the_pictures(folder: Path) -> None:
    for case in rows(folder / "cases.jsonl"):
        scene, edit = Scene.from_json(case["params"]["scene"]), Edit.from_json(case["params"]["edit"])
        assert (render(scene) == pixels(folder / case["source"])).all()
        truth = folder / f"candidates/drawn-truth/{Path(case['source']).name}"
        assert (render(apply(scene, edit)) == pixels(truth)).all()


def test_a_group_of_six_can_be_ranked_by_its_true_scores(folder: Path) -> None:
    cases = {case["key"]: case for case in rows(folder / "cases.jsonl")}
    groups: dict[str, dict[str, float]] = {key: {} for key in cases}
    for row in rows(folder / "candidates.jsonl"):
        case = cases[row["case"]]
        source, mask = pixels(folder / case["source"]), pixels(folder / case["mask"]) > 0
        scene, edit = Scene.from_json(case["params"]["scene"]), Edit.from_json(case["params"]["edit"])
        target = render(apply(scene, edit))
        groups[row["case"]][row["editor"]] = true_score(source, target, mask, pixels(folder / row["file"])).score
    for scores in groups.values():
        assert len(scores) == 6
        assert scores["drawn-truth"] == 5
        assert max(score for name, score in scores.items() if name != "drawn-truth") < 5
    means = {name: np.mean([scores[name] for scores in groups.values()]) for name in ATTEMPTS}
    assert max(means["drawn-nothing"], means["drawn-wrong-object"]) < 1.5
    assert all(1 < means[name] < 4.8 for name in ("drawn-drift", "drawn-half", "drawn-noise"))


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "again", 11, 24)
    assert digests(tmp_path / "again") == digests(folder)
    write_dataset(tmp_path / "other", 12, 8)
    assert (tmp_path / "other" / "cases.jsonl").read_text() not in (folder / "cases.jsonl").read_text()


def test_a_longer_data_set_begins_like_a_shorter_one(folder: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "short", 11, 8)
    assert (folder / "cases.jsonl").read_text().startswith((tmp_path / "short" / "cases.jsonl").read_text())


def test_a_folder_with_something_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        write_dataset(tmp_path, 1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("cases", [0, -3])
def test_no_cases_are_refused(tmp_path: Path, cases: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        write_dataset(tmp_path / "none", 1, cases)
    assert not (tmp_path / "none").exists()


@given(st.integers(0, 10**6), st.sampled_from(TASKS))
def test_a_wrong_edit_is_another_edit_of_a_valid_scene(index: int, task: str) -> None:
    pair = draw_pair(1, index, task)
    wrong = wrong_edit(random.Random(index), pair)
    assert (render(apply(pair.scene, wrong)) != pair.target).any()
    assert wrong.instruction == pair.edit.instruction


@given(
    st.integers(0, 10**6), st.sampled_from(TASKS), st.sampled_from([name for name in ATTEMPTS if name != "drawn-truth"])
)
def test_every_fault_costs_points_and_is_repeatable(index: int, task: str, editor: str) -> None:
    pair = draw_pair(1, index, task)
    made = ATTEMPTS[editor](pair, random.Random(index))
    assert true_score(pair.source, pair.target, pair.mask, made.image).score < 5
    assert (ATTEMPTS[editor](pair, random.Random(index)).image == made.image).all()
    json.dumps(made.settings)


def test_a_choice_of_tasks(tmp_path: Path) -> None:
    write_dataset(tmp_path / "two", 3, 20, ("remove", "color"))
    rows = [json.loads(line) for line in (tmp_path / "two" / "cases.jsonl").read_text().splitlines()]
    assert [row["task"] for row in rows] == ["remove", "color"] * 10
    splits = {task: [row["split"] for row in rows if row["task"] == task] for task in ("remove", "color")}
    assert all(found == ["train"] * 8 + ["dev", "test"] for found in splits.values())


@pytest.mark.parametrize("tasks", [(), ("paint",), ("remove", "paint")])
def test_tasks_that_there_are_not_are_refused(tmp_path: Path, tasks: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="The tasks are add, remove"):
        write_dataset(tmp_path / "none", 1, 4, tasks)
    assert not (tmp_path / "none").exists()
