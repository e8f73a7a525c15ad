"""scripts/setup.py: what it says when the environment cannot be made, and that it does nothing twice."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def setup() -> ModuleType:
    """The script as a module of its own, loaded as the system's Python would."""
    spec = importlib.util.spec_from_file_location("setup_script", ROOT / "scripts" / "setup.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    """A checkout with nothing to install, its environment, and what was said when that was made. Do not write there."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup.py", folder / "scripts")
    (folder / "requirements").mkdir()
    for name in ("web", "demo", "gpu", "dev"):
        (folder / "requirements" / f"{name}.txt").write_text("# nothing\n")
    return folder, run(folder)


@pytest.fixture
def tree(made: tuple[Path, "subprocess.CompletedProcess[str]"], tmp_path: Path) -> Path:
    """A copy of it: making an environment takes seconds."""
    return shutil.copytree(made[0], tmp_path / "tree", symlinks=True)


def run(tree: Path, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/setup.py", *words]
    return subprocess.run(command, cwd=tree, env={**os.environ, **(env or {})}, capture_output=True, text=True)


def test_makes_an_environment_and_does_nothing_the_second_time(
    made: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    tree, first = made
    assert first.returncode == 0, first.stderr
    assert "Making the Python environment" in first.stdout
    assert (tree / ".venv" / "bin" / "python").exists()
    second = run(tree)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_installs_again_after_a_requirement_changed(tree: Path) -> None:
    (tree / "requirements" / "web.txt").write_text("# changed\n")
    assert "Bringing the packages up to date" in run(tree).stdout
    assert run(tree).stdout == ""


def test_development_tools_count_as_the_plain_environment_too(tree: Path) -> None:
    (tree / ".venv" / "editloop-run").unlink()
    assert run(tree, "--dev").returncode == 0
    assert run(tree).stdout == ""


def test_a_broken_environment_is_made_again(tree: Path) -> None:
    (tree / ".venv" / "bin" / "python").unlink()
    assert "Making the Python environment" in run(tree).stdout
    assert (tree / ".venv" / "bin" / "python").exists()


def test_a_package_that_does_not_exist_for_this_python_is_said_and_nothing_is_stamped(tree: Path) -> None:
    (tree / ".venv" / "editloop-run").unlink()
    (tree / "requirements" / "web.txt").write_text("editloop-needs-no-such-package==1\n")
    done = run(tree, env={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""})
    assert done.returncode == 1
    assert "A pinned package does not exist for this Python or this machine" in done.stderr
    assert ".venv/pip.log" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tree / ".venv" / "editloop-run").exists()


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 8, 0), (2, 7, 18)])
def test_an_old_python_is_refused_with_what_to_do(setup: ModuleType, version: tuple[int, ...]) -> None:
    sentence = setup.python_problem(version)
    assert f"this is {version[0]}.{version[1]}" in sentence
    assert "PYTHON=/path/to/python3.11" in sentence


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 13, 2), (4, 0, 0)])
def test_a_new_enough_python_is_taken(setup: ModuleType, version: tuple[int, ...]) -> None:
    assert setup.python_problem(version) is None


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        (
            "NewConnectionError: Failed to establish a new connection\nERROR: No matching distribution found for x",
            "net",
        ),
        ("Temporary failure in name resolution", "network"),
        ("error: command 'gcc' failed: No such file or directory\nERROR: Failed building wheel for x", "C compiler"),
        ("copying uvloop/sslproto.pyx -> build\nERROR: Failed building wheel for uvloop", "C compiler"),
        ("Max retries exceeded with url: /simple (Caused by SSLError(...))", "network"),
        ("fatal error: Python.h: No such file or directory", "python3-dev"),
        ("ERROR: No matching distribution found for numpy==99", "does not exist for this Python"),
        ("PermissionError: [Errno 13] Permission denied: '.venv'", "who owns .venv"),
        ("ERROR: something nobody foresaw", "something nobody foresaw"),
    ],
)
def test_what_pip_says_becomes_what_to_do(setup: ModuleType, output: str, expected: str) -> None:
    assert expected in setup.cause_of(output)


def test_a_nearly_full_disk_is_said(setup: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(setup.Refusal, match="nearly full"):
        setup.check_disk(tmp_path, needed=10**18)


def test_an_old_python_can_read_the_script() -> None:
    import ast

    ast.parse((ROOT / "scripts" / "setup.py").read_text(), feature_version=(3, 7))
