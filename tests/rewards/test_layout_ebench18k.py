from pathlib import Path
from typing import Any

import pytest

from tests.rewards.benches import json_lines, put
from training.rewards.layouts import LayoutError
from training.rewards.layouts.ebench18k import read

WORDS = {"v": "visual quality", "e": "editing correspondence", "c": "attribute preservation"}


def row(
    letter: str, model: int, name: str, score: Any, prompt: str = "Add a [red] fish", **more: Any
) -> dict[str, Any]:
    place = f"_{name[0].lower()}/model{model:02}/{name}.jpg"
    return {
        "query": f"With the image editing prompt [{prompt}], the source image <image> is edited. Rate {WORDS[letter]}.",
        "response": f"The quality score is {score}",
        "images": [f"/elsewhere/sourceimg{place}", f"/elsewhere/targetimg{place}"],
        **more,
    }


def bench(folder: Path, rows: dict[str, list[dict[str, Any]]]) -> Path:
    for name, lines in rows.items():
        json_lines(folder / "data" / f"{name}.json", lines)
    for model in range(2):
        for number, name in enumerate(("H_00_04", "L_04_01")):
            for side in ("sourceimg", "targetimg"):
                put(folder, f"{side}_{name[0].lower()}/model{model:02}/{name}.jpg", 10 * model + number)
    return folder


def test_scores_by_editor_and_dimension(tmp_path: Path) -> None:
    rows = {
        "test_v": [row("v", 1, "H_00_04", 41.5), row("v", 0, "H_00_04", "34.49")],
        "test_e": [row("e", 0, "H_00_04", 60)],
        "train_c": [row("c", 0, "L_04_01", 32.2, "Remove the haze")],
    }
    first, second = read(bench(tmp_path, rows))
    assert (first.instruction, first.task, first.split) == ("Add a [red] fish", "add", "test")
    assert [made.editor for made in first.candidates] == ["model00", "model01"]
    assert first.labels["quality"].mos == (34.49, 41.5)
    assert first.labels["alignment"].mos == (60.0, None)
    assert (second.task, second.split, set(second.labels)) == ("dehaze", "train", {"preservation"})


@pytest.mark.parametrize(
    "change",
    [
        {"response": "The quality score is high"},
        {"response": "The quality score is 134.2"},
        {"query": "Rate this."},
        {"images": ["/a/sourceimg_h/model00/H_00_04.jpg"]},
        {"images": ["/a/sourceimg_h/model00/H_00_04.jpg", "/a/targetimg_h/model01/H_00_04.jpg"]},
        {"images": ["/a/sourceimg_h/model00/../H_00_04.jpg", "/a/targetimg_h/model00/H_00_04.jpg"]},
    ],
)
def test_a_row_of_another_form_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(LayoutError, match=r"test_v.json, line 2"):
        list(read(bench(tmp_path, {"test_v": [row("v", 1, "H_00_04", 3), row("v", 0, "H_00_04", 4, **change)]})))


def test_contradictions_are_refused(tmp_path: Path) -> None:
    twice = [row("v", 0, "H_00_04", 3), row("v", 0, "H_00_04", 4)]
    with pytest.raises(LayoutError, match="H_00_04 of model00 is there twice"):
        list(read(bench(tmp_path / "a", {"test_v": twice})))
    other = {"test_v": twice[:1], "test_e": [row("e", 1, "H_00_04", 4, "Remove it")]}
    with pytest.raises(LayoutError, match="another instruction"):
        list(read(bench(tmp_path / "b", other)))
    with pytest.raises(LayoutError, match="there is no file"):
        list(read(bench(tmp_path / "c", {"test_v": [row("v", 0, "H_02_04", 3)]})))
    with pytest.raises(LayoutError, match="none of the files"):
        list(read(tmp_path / "d"))
