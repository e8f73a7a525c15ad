"""The editor protocol's loader: only files of the folder, and clear words for the rest."""

import subprocess
import sys

import pytest

from tests.gpu.make import case
from training.gpu.editors import FOLDER, EditorError, editor_names, load_editor


def test_it_loads_an_editor_by_its_file_name() -> None:
    (made,) = load_editor("classical", {"variant": "careful"}).edit(case("style"), [5])
    assert (made.image.size, made.seed, made.noise_seed) == (case("style").source.size, 5, None)
    assert made.settings == {"variant": "careful"}
    assert made.seconds > 0


def test_the_folder_is_the_list() -> None:
    assert "classical" in editor_names()
    assert all((FOLDER / f"{name}.py").is_file() for name in editor_names())
    assert "__init__" not in editor_names()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nothing",
        "os",
        "__init__",
        "..generate",
        "classical.os",
        "../generate",
        "Classical",
        "classical\n",
        None,
        3,
        ["classical"],
    ],
)
def test_other_names_are_refused_and_the_choice_is_named(name: object) -> None:
    with pytest.raises(EditorError, match="classical"):
        load_editor(name, {})


@pytest.mark.parametrize(
    "wanted",
    [{"variant": "perfect"}, {"variant": None}, {"variant": ["careful"]}, {"quality": 3}, {"variant": "soft", "x": 1}],
)
def test_unknown_settings_are_refused(wanted: dict[str, object]) -> None:
    with pytest.raises(EditorError, match="careful, soft"):
        load_editor("classical", wanted)


def test_the_worker_imports_neither_django_nor_torch() -> None:
    code = (
        "import sys, training.gpu.run, training.gpu.editors.classical\n"
        "print([name for name in ('django', 'torch', 'skimage', 'celery') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=FOLDER.parents[2], check=True
    )
    assert run.stdout.strip() == "[]"
