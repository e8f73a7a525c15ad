"""Every page works where the model libraries are not installed: the web server's image has none of them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.migrated import migrated

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("accelerate", "diffusers", "peft", "safetensors", "torch", "transformers")


def python(*words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """A process of its own: without what tells pytest-xdist's workers apart, and with its own database."""
    ours = ("DATABASE_URL", "EDITLOOP_VAR", "PYTEST_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=env | more, capture_output=True, text=True, timeout=300
    )


def test_the_plugin_blocks_the_libraries() -> None:
    for name in LIBRARIES:
        done = python("-c", f"import tests.no_torch\nimport {name}")
        assert "ModuleNotFoundError" in done.stderr or "ImportError" in done.stderr


def test_an_engineer_can_open_every_page(tmp_path: Path) -> None:
    rule = "test_every_address_has_a_rule or (test_rule and bob)"
    words = (
        "tests/test_access.py",
        "-k",
        rule,
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-p",
        "tests.no_torch",
    )
    var = tmp_path / "var"
    var.mkdir()
    shutil.copy(migrated(), var)
    done = python("-m", "pytest", *words, f"--basetemp={tmp_path / 'inner'}", EDITLOOP_VAR=str(var))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    found = re.search(r"(\d+) passed", done.stdout)
    assert found is not None
    assert int(found[1]) > 60
