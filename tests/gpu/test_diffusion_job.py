"""The diffusers editors in the job that makes candidates: tiny models with random weights, one process and another."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.gpu.make import picture
from tests.gpu.test_generate import events, in_process, item, job, result, run
from tests.gpu.tiny_models import EDITORS, settings
from webapp.jobs.folder import JobError


def rows(names: tuple[str, ...], instruction: str = "make it a winter evening") -> list[dict[str, Any]]:
    return [
        item(f"{name}/{seed}", "style", seed=seed, instruction=instruction)
        | {"editor": {"module": name, "settings": settings(name)}}
        for name in names
        for seed in (3, 4)
    ]


def pictures(folder: Path) -> dict[str, np.ndarray]:
    return {event["key"]: np.asarray(Image.open(folder / event["file"])) for event in events(folder, "image")}


def test_tiny_models_make_candidates_and_saved_ones_reloaded_make_the_same(tmp_path: Path) -> None:
    """All four in this process, then Kontext and Plus in a process of its own, as the queue runs them."""
    here = job(tmp_path / "here", rows(EDITORS))
    assert in_process(here) == {"images": 8, "failed": 0}
    first = pictures(here)
    for event in events(here, "image"):
        name, seed = event["key"].split("/")
        made = event["settings"]
        assert (event["seed"], event["noise_seed"]) == (int(seed), int(seed))
        assert made["source_size"] == list(picture().size)
        assert (made["model"], made["dtype"], made["steps"], made["lora"]) == (name, "float32", 2, None)
        assert first[event["key"]].shape == (90, 120, 3)
        assert first[event["key"]].std() > 5
    assert all((first[f"{name}/3"] != first[f"{name}/4"]).any() for name in EDITORS)

    names = ("flux_kontext", "qwen_image_edit_plus")
    there = job(tmp_path / "there", rows(names))
    assert run(there) == 0, (there / "result.json").read_text()
    assert result(there)["summary"] == {"images": 4, "failed": 0}
    for key, image in pictures(there).items():
        assert np.abs(image.astype(int) - first[key]).max() <= 1  # threads differ, so sums are rounded otherwise


def test_the_job_makes_a_cases_seeds_in_one_call(tmp_path: Path) -> None:
    """A batch of three for four seeds; the pictures are those made one by one."""
    grouped = [
        item(str(seed), "style", seed=seed, instruction="make it a winter evening")
        | {"editor": {"module": "qwen_image_edit_plus", "settings": settings("qwen_image_edit_plus", batch=3)}}
        for seed in range(4)
    ]
    single = [row | {"editor": {**row["editor"], "settings": settings("qwen_image_edit_plus")}} for row in grouped]
    together, alone = job(tmp_path / "together", grouped), job(tmp_path / "alone", single)
    assert in_process(together) == in_process(alone) == {"images": 4, "failed": 0}
    assert [event["settings"]["batch"] for event in events(together, "image")] == [3, 3, 3, 1]
    assert [event["settings"]["batch"] for event in events(alone, "image")] == [1, 1, 1, 1]
    one_by_one = pictures(alone)
    for key, image in pictures(together).items():
        assert np.abs(image.astype(int) - one_by_one[key]).max() <= 1


def test_missing_weights_fail_the_job_with_what_to_do(tmp_path: Path) -> None:
    row = item("a") | {"editor": {"module": "flux_kontext", "settings": {"model": "nobody/nothing", "preset": "cpu"}}}
    folder = job(tmp_path / "job", [row])
    with pytest.raises(JobError) as refused:
        in_process(folder)
    assert "flux_kontext cannot be loaded" in str(refused.value)
    assert "hf download nobody/nothing" in str(refused.value)
    assert "Traceback" not in str(refused.value)


def test_a_case_without_an_instruction_fails_alone(tmp_path: Path) -> None:
    items = [*rows(("instruct_pix2pix",), " ")[:1], *rows(("instruct_pix2pix",))[1:]]
    folder = job(tmp_path / "job", items)
    assert in_process(folder) == {"images": 1, "failed": 1}
    (failed,) = events(folder, "item_failed")
    assert "no instruction" in failed["reason"]
    assert json.dumps(failed)
