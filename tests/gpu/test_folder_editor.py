"""Images made elsewhere: found by key and seed, and never outside the incoming folder."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.gpu.make import case
from tests.gpu.test_generate import events, in_process, item, job
from training.gpu.editors import CannotEdit, EditorError, load_editor

CASE = dataclasses.replace(case("style"), key="cats/7")
SIZE = CASE.source.size


@pytest.fixture
def incoming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "incoming"
    (root / "run1" / "cats").mkdir(parents=True)
    for seed in (0, 1):
        Image.new("RGB", SIZE, (seed, 99, 50)).save(root / "run1" / "cats" / f"7_{seed}.png")
    monkeypatch.setenv("EDITLOOP_INCOMING", str(root))
    return root


def edit(seed: int = 0, key: str = "cats/7", **settings: Any) -> Any:
    (made,) = load_editor("folder", {"folder": "run1", **settings}).edit(dataclasses.replace(CASE, key=key), [seed])
    return made


def test_it_finds_the_image_of_a_case_and_seed(incoming: Path) -> None:
    made = edit(1)
    assert (made.image.size, made.seed, made.noise_seed) == (SIZE, 1, None)
    assert np.asarray(made.image)[0, 0].tolist() == [1, 99, 50]
    assert made.settings == {
        "folder": "run1",
        "pattern": "{key}_{seed}.png",
        "size": list(SIZE),
        "source_size": list(SIZE),
    }
    assert edit(0, pattern="{key}_{seed}.png").image.getpixel((0, 0)) == (0, 99, 50)


def test_it_works_in_the_job_and_a_missing_image_fails_alone(incoming: Path, tmp_path: Path) -> None:
    items = [
        item(f"a/{seed}", seed=seed) | {"editor": {"module": "folder", "settings": {"folder": "run1"}}}
        for seed in (0, 1, 2)
    ]
    for row in items:
        row["case"]["key"] = "cats/7"
    folder = job(tmp_path / "job", items)
    assert in_process(folder) == {"images": 2, "failed": 1}
    (failed,) = events(folder, "item_failed")
    assert failed["key"] == "a/2"
    assert "There is no image 'cats/7_2.png' in the folder run1" in failed["reason"]


def test_an_image_of_another_size_is_brought_to_the_sources_and_one_of_another_shape_is_refused(incoming: Path) -> None:
    Image.new("RGB", (SIZE[0] * 2, SIZE[1] * 2 + 1)).save(incoming / "run1" / "large_0.png")
    made = edit(key="large")
    assert (made.image.size, made.settings["size"]) == (SIZE, [SIZE[0] * 2, SIZE[1] * 2 + 1])
    Image.new("RGB", (SIZE[1], SIZE[0])).save(incoming / "run1" / "turned_0.png")
    with pytest.raises(CannotEdit, match="shapes differ"):
        edit(key="turned")


def test_what_is_no_image_is_refused(incoming: Path) -> None:
    (incoming / "run1" / "text_0.png").write_text("no picture")
    with pytest.raises(CannotEdit, match=r"text_0\.png cannot be read"):
        edit(key="text")
    (incoming / "run1" / "inside_0.png").mkdir()
    with pytest.raises(CannotEdit, match="There is no image"):
        edit(key="inside")


def test_one_image_a_case(incoming: Path) -> None:
    Image.new("RGB", SIZE).save(incoming / "run1" / "dog.webp")
    assert edit(0, key="dog", pattern="{key}.webp").seed == 0
    with pytest.raises(CannotEdit, match="one image a case; there is none for seed 1"):
        edit(1, key="dog", pattern="{key}.webp")


@pytest.mark.parametrize(
    "key",
    ["../../secret", "/etc/passwd", "x/../../../secret", "link", "circle", pytest.param("a" * 5000, id="long"), "a\0b"],
)
def test_no_key_leads_out_of_the_incoming_folder(incoming: Path, key: str) -> None:
    Image.new("RGB", SIZE).save(incoming.parent / "secret_0.png")
    (incoming / "run1" / "link_0.png").symlink_to(incoming.parent / "secret_0.png")
    (incoming / "run1" / "circle_0.png").symlink_to(incoming / "run1" / "circle_0.png")
    with pytest.raises(CannotEdit, match=r"leads out of the incoming folder|no name of a file|There is no image"):
        edit(key=key)


def test_a_key_is_text_and_no_format(incoming: Path) -> None:
    Image.new("RGB", SIZE).save(incoming / "run1" / "{seed}_0.png")
    assert edit(key="{seed}").seed == 0
    with pytest.raises(CannotEdit, match="There is no image"):
        edit(key="{key.__class__}")
    with pytest.raises(CannotEdit, match="no key"):
        edit(key="")


@pytest.mark.parametrize(
    "name", ["..", "../run1", "/etc", "run1/../../incoming2", "out", "absent", "", None, 3, "a\0b"]
)
def test_no_folder_outside_is_opened(incoming: Path, name: Any) -> None:
    (incoming.parent / "incoming2").mkdir()
    (incoming / "out").symlink_to(incoming.parent / "incoming2")
    with pytest.raises(EditorError, match=r"leads out of|no name of a folder|There is no folder|must name a folder"):
        load_editor("folder", {"folder": name})


@pytest.mark.parametrize(
    "pattern",
    [
        "{seed}.png",
        "image.png",
        "{key}_{index}.png",
        "{key.__class__}",
        "{key}_{}",
        "{{key}}_{key}",
        "{key",
        "}{key}",
        None,
    ],
)
def test_a_pattern_has_only_key_and_seed(incoming: Path, pattern: Any) -> None:
    with pytest.raises(EditorError, match=r"key.* and .*seed.* and no other field"):
        load_editor("folder", {"folder": "run1", "pattern": pattern})


def test_unknown_settings_are_refused(incoming: Path) -> None:
    with pytest.raises(EditorError, match="folder has no setting path"):
        load_editor("folder", {"folder": "run1", "path": "/etc"})


def test_without_the_variable_it_is_var_incoming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDITLOOP_INCOMING", raising=False)
    with pytest.raises(EditorError, match="var/incoming"):
        load_editor("folder", {"folder": "no such folder"})
