"""`make bench`: rows of output become a table, and half a measurement is none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import bench

ROW = {"what": "30 annotators", "value": 123.456, "unit": "a second", "target": "at least 100"}


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A checkout with nothing to measure yet."""
    (tmp_path / "tests" / "bench").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "BENCHES", tmp_path / "tests" / "bench")
    monkeypatch.setattr(bench, "PAGE", tmp_path / "docs" / "benchmarks.md")
    return tmp_path


def measure(folder: Path, name: str, code: str) -> None:
    (folder / "tests" / "bench" / f"{name}.py").write_text(code)


def test_rows_become_a_table(folder: Path) -> None:
    measure(folder, "load", f"print('starting'); print({json.dumps(json.dumps(ROW))})")
    assert bench.main([]) == 0
    page = (folder / "docs" / "benchmarks.md").read_text()
    assert "| load | 30 annotators | 123.5 | a second | at least 100 |" in page
    assert bench.machine() in page
    assert "starting" not in page


def test_another_run_keeps_the_other_rows(folder: Path) -> None:
    measure(folder, "load", f"print({json.dumps(json.dumps(ROW))})")
    measure(folder, "stats", f"print({json.dumps(json.dumps({**ROW, 'value': 7}))})")
    assert bench.main([]) == 0
    measure(folder, "stats", f"print({json.dumps(json.dumps({**ROW, 'value': 1234567}))})")
    assert bench.main(["stats"]) == 0
    page = (folder / "docs" / "benchmarks.md").read_text()
    assert "| load | 30 annotators | 123.5 |" in page
    assert "| stats | 30 annotators | 1,234,567 |" in page
    assert "| 7 |" not in page


def test_a_measurement_that_fails_leaves_the_last_whole_one(folder: Path) -> None:
    measure(folder, "load", f"print({json.dumps(json.dumps(ROW))})")
    assert bench.main([]) == 0
    measure(folder, "load", f"print({json.dumps(json.dumps({**ROW, 'value': 1}))}); raise SystemExit(1)")
    assert bench.main([]) == 1
    page = (folder / "docs" / "benchmarks.md").read_text()
    assert page.count("| load |") == 1
    assert "123.5" in page


def test_no_such_measurement(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["nothing"]) == 1
    assert "nothing" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["plain words", "[1, 2]", '{"what": "no value"}', "{", "12"])
def test_other_lines_are_no_rows(line: str) -> None:
    assert bench.row_of(line) is None


def test_the_measurements_that_exist_can_be_read() -> None:
    for path in (Path(bench.__file__).parents[1] / "tests" / "bench").glob("[a-z]*.py"):
        done = subprocess.run([sys.executable, "-m", "py_compile", str(path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
