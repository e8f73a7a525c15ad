"""`make test`: everything runs, a failure does not hide the others, and what is missing is said."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts import test as checks

PRINT = [sys.executable, "-c", "print('done')"]
FAIL = [sys.executable, "-c", "raise SystemExit(3)"]


def step(command: list[str], title: str = "a step", problem: str = "") -> checks.Step:
    return checks.Step("lint", title, command, dict(os.environ), problem)


def test_a_step_that_works(capfd: pytest.CaptureFixture[str]) -> None:
    outcome = checks.run(step(PRINT), may_be_empty=False)
    assert outcome.passed
    heading, said = capfd.readouterr().out.strip().splitlines()
    assert " a step " in heading
    assert said == "done"


def test_a_step_that_fails_does_not_stop_the_next(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    steps = [step(FAIL, "first"), step(PRINT, "second")]
    monkeypatch.setattr(checks, "all_steps", lambda *_: (iter(steps), []))
    monkeypatch.setattr(sys, "argv", ["test"])
    assert checks.main() == 1
    said = capfd.readouterr().out
    assert "done" in said
    assert "FAILED: first (" in said


def test_all_that_passes_is_zero(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(checks, "all_steps", lambda *_: (iter([step(PRINT)]), []))
    monkeypatch.setattr(sys, "argv", ["test"])
    assert checks.main() == 0
    assert "All passed" in capfd.readouterr().out


def test_what_runs_beside_is_printed_after_the_others(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first = [sys.executable, "-c", "print('beside')"]
    monkeypatch.setattr(checks, "all_steps", lambda *_: (iter([step(PRINT)]), [step(first), step(FAIL, "browser")]))
    monkeypatch.setattr(sys, "argv", ["test"])
    assert checks.main() == 1
    said = capfd.readouterr().out
    assert said.index("done") < said.index("beside") < said.index("FAILED: browser (")


def test_the_two_rows_of_steps_share_no_folder_and_no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "need_postgres", lambda: (None, "not here"))
    with ExitStack() as stack:
        one_by_one, beside = checks.all_steps(set(checks.GROUPS), [], stack)
        others = [one for one in one_by_one if one.group != "lint"]
        for name in ("EDITLOOP_VAR", "REDIS_URL"):
            assert not {one.env[name] for one in others} & {one.env[name] for one in beside}
        alone, nothing = checks.all_steps({"browser"}, [], stack)
        assert [one.group for one in alone] == ["browser"] * len(beside)
        assert nothing == []


def test_what_is_missing_fails_with_its_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    outcome = checks.run(step(PRINT, problem="Chromium is missing."), may_be_empty=False)
    assert not outcome.passed
    assert "Chromium is missing." in capfd.readouterr().out


def test_no_tests_is_a_failure_unless_a_part_was_asked_for() -> None:
    empty = step([sys.executable, "-c", f"raise SystemExit({checks.NOTHING_COLLECTED})"])
    assert not checks.run(empty, may_be_empty=False).passed
    assert checks.run(empty, may_be_empty=True).passed


def test_without_root_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    sentence = checks.apt_install("Chromium", "chromium", "fonts-liberation")
    assert sentence.startswith("Chromium is missing. Install it (Debian: sudo apt install chromium fonts-liberation)")


def test_a_named_browser_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "nothing"))
    path, problem = checks.need_chromium()
    assert path == ""
    assert "CHROMIUM names" in problem


def test_the_steps_touch_nobody_s_data(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "EDITLOOP_VAR", "EDITLOOP_PORT"):
        monkeypatch.setenv(name, "/somebody's")
    monkeypatch.setattr(checks, "need_postgres", lambda: (None, "not here"))
    with ExitStack() as stack:
        one_by_one, beside = checks.all_steps(set(checks.GROUPS), [], stack)
        steps = [*one_by_one, *beside]
        assert {one.group for one in steps} == set(checks.GROUPS)
        assert not any("/somebody's" in one.env.values() for one in steps)
        var = Path(steps[0].env["EDITLOOP_VAR"])
        assert var.exists()
    assert not var.exists()


def test_every_test_file_is_in_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """What SQLite's step leaves out is run by the unit step or the browser step, or is a measurement."""
    monkeypatch.setattr(checks, "need_postgres", lambda: (None, "not here"))
    with ExitStack() as stack:
        one_by_one, beside = checks.all_steps({"unit", "sqlite", "browser"}, [], stack)
        steps = [*one_by_one, *beside]
    whole = next(one.command for one in steps if one.group == "sqlite")
    left_out = {word.removeprefix("--ignore=") for word in whole if word.startswith("--ignore=")}
    others = [one.command for one in steps if one.group in ("unit", "browser")]
    elsewhere = {word for command in others for word in command if word.startswith("tests/")}
    assert left_out - elsewhere <= {"tests/bench"} | {f"tests/{n}" for n in checks.PURE if not checks.test_folders(n)}
    assert elsewhere <= left_out
