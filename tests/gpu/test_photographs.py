"""The demo's photographs: whose they are, and an import folder whose masks and parameters suit the editor."""

import importlib
import inspect
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image

from training.demo import photographs
from training.demo.photographs import HERE, PhotographMissing, attributions, build_folder, load_photograph
from training.demo.regions import draw_region
from training.gpu.classical_ops.edits import NEED_MASK, TASKS
from training.gpu.editors import load_editor
from training.gpu.generate import read_case


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "photographs"
    build_folder(path)
    return path


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "cases.jsonl").read_text().splitlines()]


def toml(name: str) -> dict[str, Any]:
    return tomllib.loads((HERE / f"{name}.toml").read_text())


def test_it_makes_a_data_set_over_all_eight_tasks(rows: list[dict[str, Any]]) -> None:
    assert len(rows) >= 48
    assert len({row["key"] for row in rows}) == len(rows)
    assert len({row["source"] for row in rows}) >= 8
    for task in TASKS:
        assert sum(row["task"] == task for row in rows) >= 6
    assert all(row["instruction"].endswith(".") for row in rows)
    assert sum("instruction_zh" in row for row in rows) > 20
    assert sum("requirement" in row for row in rows) >= 8


def test_sources_and_masks_are_there_and_fit(folder: Path, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        with Image.open(folder / row["source"]) as source:
            assert max(source.size) <= 1024
            assert source.mode == "RGB"
            if row["task"] in NEED_MASK:
                assert "mask" in row
            if "mask" in row:
                mask = np.asarray(Image.open(folder / row["mask"]))
                assert mask.shape == (source.height, source.width)
                assert 0.001 < (mask > 127).mean() < 0.995


def test_added_objects_lie_within_their_masks(folder: Path, rows: list[dict[str, Any]]) -> None:
    """The careful editor changes nothing outside the mask: an object that reaches beyond it would be cut off."""
    for row in rows:
        if "box" in row["params"]:
            mask = np.asarray(Image.open(folder / row["mask"])) > 127
            left, top, width, height = row["params"]["box"]
            y, x = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]]
            across, down = x / mask.shape[1] - left - width / 2, y / mask.shape[0] - top - height / 2
            middle = (across / width) ** 2 + (down / height) ** 2 < 0.35**2  # most of the box, without its corners
            assert mask[middle].mean() > 0.97, row["key"]


@pytest.mark.parametrize("task", TASKS)
def test_the_careful_editor_does_the_cases_and_keeps_to_their_masks(
    folder: Path, rows: list[dict[str, Any]], task: str
) -> None:
    row = next(
        row
        for row in rows
        if row["task"] == task and ("coins" in row["source"] or "chelsea" in row["source"] or task == "swap")
    )
    case = read_case(folder, row)
    (made,) = load_editor("classical", {"variant": "careful"}).edit(case, [0])
    change = np.abs(np.asarray(made.image).astype(int) - np.asarray(case.source)).max(axis=2)
    inside = np.ones(change.shape, np.bool_) if case.mask is None else np.asarray(case.mask) > 0
    assert change[inside].mean() > 2
    assert inside.all() or change[~inside].max() <= 1


def test_every_region_cutout_and_photograph_is_used() -> None:
    cases, regions = toml("cases"), toml("regions")
    used = {(case["photograph"], case.get("region")) for case in cases["case"]}
    used |= {(row["photograph"], row["region"]) for row in cases["cutouts"].values()}
    for name, own in regions.items():
        parts = {part for row in own.values() for part in (*row.get("union", []), *row.get("without", []))}
        assert {region for region in own if (name, region) not in used} <= parts, name
    assert {name for name, _region in used} == set(toml("photographs"))
    assert {
        case["params"]["object"]["cutout"]
        for case in cases["case"]
        if "cutout" in case.get("params", {}).get("object", {})
    } == set(cases["cutouts"])


def test_every_photograph_is_credited_as_its_package_says() -> None:
    for entry in attributions():
        if entry.notes.startswith("scikit-image"):
            function = getattr(importlib.import_module("skimage.data"), entry.notes.rsplit(".", 1)[1])
            note = " ".join((inspect.getdoc(function) or "").split())
            word = {"CC0 1.0": "CC0", "Public domain": "public domain"}.get(entry.licence, entry.licence)
            assert word in note, entry.name
            assert entry.author.split(",")[0] in note, entry.name
        else:
            note = (Path(sklearn.datasets.__file__).parent / "images" / "README.txt").read_text()
            assert entry.source in note, entry.name
            assert "creativecommons.org/licenses/by/2.0" in note
            assert entry.licence == "CC BY 2.0"
            assert entry.author.split()[0] in note


def test_a_case_credits_every_photograph_that_is_in_it(rows: list[dict[str, Any]]) -> None:
    by_key = {row["key"]: row for row in rows}
    swapped = by_key["cameraman-swap-tower"]
    assert "Lav Varshney" in swapped["attribution"]
    assert "danielbuechele" in swapped["attribution"]
    assert swapped["licence"] == "CC0 1.0, CC BY 2.0"
    assert "danielbuechele" in by_key["astronaut-background-lake"]["attribution"]
    assert all(row["attribution"] and row["licence"] for row in rows)
    assert all(len(row["attribution"]) <= 500 for row in rows)


def test_a_missing_package_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(photographs, "find_spec", lambda name: None)
    with pytest.raises(PhotographMissing, match="pip install scikit-image"):
        load_photograph("coins")
    with pytest.raises(PhotographMissing):
        build_folder(tmp_path / "demo")
    assert not (tmp_path / "demo" / "cases.jsonl").exists()
    assert len(attributions()) >= 8  # the page with the licences needs no package


def test_a_package_without_the_file_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(photographs, "find_spec", lambda name: Spec())
    with pytest.raises(PhotographMissing, match=r"no datasets/images/flower\.jpg"):
        load_photograph("flower")


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        build_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


GREY = Image.new("RGB", (40, 30), (90, 90, 90))


def two_tone() -> Image.Image:
    """Red left of column 20, blue from there on."""
    image = GREY.copy()
    image.paste((200, 30, 30), (0, 0, 20, 30))
    image.paste((30, 30, 200), (20, 0, 40, 30))
    return image


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ({"shapes": [{"box": [5, 0, 24, 29]}]}, (5, 24)),
        ({"shapes": [{"box": [5, 0, 24, 29]}], "near": [["#c81e1e", 10]]}, (5, 19)),
        ({"shapes": [{"box": [5, 0, 24, 29]}], "far": [["#c81e1e", 10]]}, (20, 24)),
        ({"shapes": [{"box": [0, 0, 16, 29]}], "snap": 6}, (0, 19)),
        ({"shapes": [{"box": [0, 0, 16, 29]}], "invert": True}, (17, 39)),
        ({"shapes": [{"box": [10, 0, 12, 29]}], "grow": 3}, (7, 15)),
        ({"shapes": [{"box": [10, 0, 20, 29]}], "grow": -2}, (12, 18)),
        ({"shapes": [{"box": [2, 0, 9, 29]}, {"box": [13, 0, 20, 29]}], "close": 3}, (2, 20)),
        ({"shapes": [{"box": [2, 0, 9, 29]}, {"box": [13, 0, 30, 29]}], "largest": True}, (13, 30)),
        ({"shapes": [{"box": [2, 0, 30, 29]}, {"box": [20, 0, 39, 29], "minus": True}]}, (2, 19)),
        ({"union": ["left"], "shapes": [{"box": [0, 0, 14, 29]}]}, (0, 14)),
        ({"shapes": [{"box": [0, 0, 14, 29]}], "without": ["left"]}, (11, 14)),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_regions_are_refined_as_written(table: dict[str, Any], columns: tuple[int, int]) -> None:
    regions = {"left": {"shapes": [{"box": [0, 0, 10, 29]}], "soften": 0}, "tried": {"soften": 0, **table}}
    mask = draw_region(two_tone(), regions, "tried")
    found = np.flatnonzero(mask[15] > 127)
    assert (found[0], found[-1], len(found)) == (*columns, columns[1] - columns[0] + 1)


def test_holes_are_filled_on_demand() -> None:
    ring = {"shapes": [{"ellipse": [5, 5, 30, 25]}, {"ellipse": [12, 10, 22, 20], "minus": True}], "soften": 0}
    assert draw_region(GREY, {"ring": ring}, "ring")[15, 17] == 0
    assert draw_region(GREY, {"ring": ring | {"holes": True}}, "ring")[15, 17] == 255
