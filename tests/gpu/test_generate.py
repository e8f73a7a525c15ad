"""Jobs of the kind "generate", as the supervisor runs them: a process on a folder, stopped, killed and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.gpu.make import PARAMS, mask, picture
from training.gpu import generate as module
from training.gpu.editors import CannotEdit, EditCase, EditedImage
from training.gpu.generate import generate, read_items
from webapp.jobs.folder import JobError, JobRun, read_events

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "training.gpu.run"]
PATIENCE = 60  # seconds until a process that does not answer fails the test


def item(key: str, task: str = "style", *, variant: str = "careful", seed: int = 0, **case: Any) -> dict[str, Any]:
    row = {"source": "inputs/source.png", "instruction": "", "task": task, "params": PARAMS[task]}
    row["mask"] = None if mask(task) is None else f"inputs/{task}.png"
    editor = {"module": "classical", "settings": {"variant": variant}}
    return {"key": key, "editor": editor, "seed": seed, "case": row | case}


def job(folder: Path, items: list[dict[str, Any]], kind: str = "generate") -> Path:
    (folder / "inputs").mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"kind": kind, "config": {"items": len(items)}, "attempt": 1}))
    (folder / "inputs" / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in items))
    picture().save(folder / "inputs" / "source.png")
    for task in PARAMS:
        if (shape := mask(task)) is not None:
            shape.save(folder / "inputs" / f"{task}.png")
    return folder


def run(folder: Path) -> int:
    return subprocess.run([*COMMAND, str(folder)], cwd=ROOT, capture_output=True, timeout=PATIENCE * 3).returncode


def result(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return value


def events(folder: Path, name: str) -> list[dict[str, Any]]:
    return [event for event in read_events(folder / "events.jsonl")[0] if event["event"] == name]


def test_it_makes_every_image(tmp_path: Path) -> None:
    items = [item(f"k/{task}", task, seed=number) for number, task in enumerate(PARAMS)]
    folder = job(tmp_path / "job", items)
    assert run(folder) == 0
    assert result(folder)["status"] == "succeeded"
    assert result(folder)["summary"] == {"images": 8, "failed": 0}
    made = {event["key"]: event for event in events(folder, "image")}
    assert set(made) == {row["key"] for row in items}
    for number, row in enumerate(items):
        event = made[row["key"]]
        assert event["file"] == f"outputs/{number}.png"
        assert (event["seed"], event["noise_seed"], event["settings"]) == (number, None, {"variant": "careful"})
        assert event["seconds"] > 0
        with Image.open(folder / event["file"]) as image:
            assert image.size == picture().size
    assert [event["done"] for event in events(folder, "progress")] == list(range(9))
    assert not list((folder / "outputs").glob("*.part"))


def slow_items(count: int = 6) -> list[dict[str, Any]]:
    """Images that take a while each: oil paintings of a large picture."""
    return [item(f"slow/{number}", "style", seed=number, source="inputs/large.png") for number in range(count)]


def slow_job(folder: Path) -> Path:
    job(folder, slow_items())
    picture().resize((720, 540)).save(folder / "inputs" / "large.png")
    return folder


@contextmanager
def started(folder: Path, images: int) -> Iterator[subprocess.Popen[bytes]]:
    """The process, once it has made that many images."""
    process = subprocess.Popen([*COMMAND, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE
    try:
        while len(events(folder, "image")) < images:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()


def resumes(folder: Path) -> None:
    """The second run makes what is missing, and nothing else."""
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "outputs").glob("*.png")}
    had = {event["file"] for event in events(folder, "image")}
    assert 0 < len(had) < len(slow_items())
    assert run(folder) == 0
    assert result(folder)["status"] == "succeeded"
    after = {path.name: path.stat().st_mtime_ns for path in (folder / "outputs").glob("*.png")}
    assert len(after) == len(slow_items())
    assert all(after[Path(file).name] == before[Path(file).name] for file in had)
    counts = Counter(event["key"] for event in events(folder, "image"))
    assert set(counts.values()) == {1}
    assert len(counts) == len(slow_items())


def test_sigterm_stops_it_and_it_goes_on_from_there(tmp_path: Path) -> None:
    folder = slow_job(tmp_path / "job")
    with started(folder, 2) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert result(folder)["status"] == "cancelled"
    resumes(folder)


def test_the_end_of_its_input_stops_it(tmp_path: Path) -> None:
    """The supervisor holds the other end: if it is killed, the work stops too."""
    folder = slow_job(tmp_path / "job")
    with started(folder, 2) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
    assert result(folder)["status"] == "cancelled"
    resumes(folder)


def test_after_kill_9_it_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    folder = slow_job(tmp_path / "job")
    with started(folder, 2) as process:
        process.kill()
        assert process.wait(PATIENCE) == -signal.SIGKILL
    assert not (folder / "result.json").exists()
    with (folder / "events.jsonl").open("a") as file:
        file.write('{"event": "image", "key": "slow/9", "fi')  # a line torn by the crash
    resumes(folder)


def test_an_image_whose_file_was_lost_is_made_again(tmp_path: Path) -> None:
    folder = job(tmp_path / "job", [item("a"), item("b", seed=1)])
    assert run(folder) == 0
    (folder / "outputs" / "1.png").unlink()
    assert run(folder) == 0
    assert Counter(event["key"] for event in events(folder, "image")) == {"a": 1, "b": 2}
    assert (folder / "outputs" / "1.png").is_file()


@pytest.mark.parametrize(
    ("case", "word"),
    [
        ({"source": "inputs/absent.png"}, "absent.png does not exist"),
        ({"source": "inputs/text.png"}, "text.png cannot be read"),
        ({"source": "inputs/short.png"}, "short.png cannot be read"),
        ({"source": "inputs"}, "cannot be read"),
        ({"mask": "inputs/small.png"}, "must be equal"),
        ({"mask": "inputs/text.png"}, "mask text.png cannot be read"),
        ({"task": "crop"}, "does not know the task crop"),
        ({"params": {}}, "style"),
        ({"params": []}, "style must be"),
        ({"params": "oil"}, "failed (AttributeError)"),
    ],
)
def test_an_item_that_cannot_be_made_is_reported_and_the_others_are_made(
    tmp_path: Path, case: dict[str, Any], word: str
) -> None:
    folder = job(tmp_path / "job", [item("bad"), item("good")])
    rows = [item("bad") | {"case": item("bad")["case"] | case}, item("good")]
    (folder / "inputs" / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "inputs" / "text.png").write_text("this is no picture")
    (folder / "inputs" / "short.png").write_bytes((folder / "inputs" / "source.png").read_bytes()[:2000])
    Image.new("L", (10, 10)).save(folder / "inputs" / "small.png")
    in_process(folder)
    (failed,) = events(folder, "item_failed")
    assert failed["key"] == "bad"
    assert word in failed["reason"]
    assert [event["key"] for event in events(folder, "image")] == ["good"]


def in_process(folder: Path) -> dict[str, Any]:
    return generate(JobRun(folder))


def test_if_nothing_can_be_made_the_job_fails_with_the_reason(tmp_path: Path) -> None:
    folder = job(tmp_path / "job", [item("a", source="no.png"), item("b", source="no.png")])
    assert run(folder) == 1
    assert result(folder)["status"] == "failed"
    assert "None of the 2 images" in result(folder)["message"]
    assert "no.png does not exist" in result(folder)["message"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"editor": {"module": "flux"}}, "line 2: There is no editor 'flux'"),
        ({"editor": {"module": "os.path"}}, "line 2: There is no editor"),
        ({"editor": {"module": "classical", "settings": [1]}}, "line 2"),
        ({"editor": None}, "line 2"),
        ({"key": 7}, "line 2"),
        ({"key": "first"}, "a key twice"),
        ({"seed": "one"}, "line 2"),
        ({"case": {"source": "a.png"}}, "line 2"),
        ({"case": {"source": 3, "task": "style"}}, "line 2"),
    ],
)
def test_a_wrong_list_fails_before_any_image_is_made(tmp_path: Path, change: dict[str, Any], word: str) -> None:
    folder = job(tmp_path / "job", [item("first"), item("second") | change])
    with pytest.raises(JobError, match=word):
        in_process(folder)
    assert not events(folder, "image")


def test_settings_that_the_editor_refuses_fail_the_job_with_its_words(tmp_path: Path) -> None:
    folder = job(tmp_path / "job", [item("a", variant="perfect")])
    with pytest.raises(JobError, match=r"classical cannot be loaded: .*careful, soft"):
        in_process(folder)


@pytest.mark.parametrize("text", ["[1, 2]\n", "nonsense\n", '{"key": "a"}\n', "null\n"])
def test_lines_that_are_no_items_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "items.jsonl").write_text(text)
    with pytest.raises(JobError, match=r"line 1 is not an item"):
        read_items(tmp_path / "items.jsonl")


def test_a_short_or_missing_list_is_said(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="missing"):
        read_items(tmp_path / "items.jsonl")
    (tmp_path / "items.jsonl").write_text(json.dumps(item("a")) + "\n")
    with pytest.raises(JobError, match="has 1 items, but the job was made for 3"):
        read_items(tmp_path / "items.jsonl", 3)


def test_an_unknown_editor_fails_the_process_clearly(tmp_path: Path) -> None:
    folder = job(tmp_path / "job", [item("a") | {"editor": {"module": "flux"}}])
    assert run(folder) == 1
    assert result(folder)["status"] == "failed"
    assert "no editor 'flux'" in result(folder)["message"]
    assert "classical" in result(folder)["message"]


def test_an_unknown_kind_and_a_folder_that_is_no_job(tmp_path: Path) -> None:
    folder = job(tmp_path / "job", [item("a")], kind="dance")
    assert run(folder) == 1
    assert "'dance'" in result(folder)["message"]
    for wrong in (tmp_path, tmp_path / "absent"):
        process = subprocess.run([*COMMAND, str(wrong)], cwd=ROOT, capture_output=True, text=True)
        assert process.returncode == 2
        assert "Traceback" not in process.stderr
        assert "job folder" in process.stderr


class Counting:
    """An editor that notes what it is asked for, and fails on seed 13."""

    loads: list[str] = []

    def edit(self, case: EditCase, seeds: Any) -> list[EditedImage]:
        if seeds == [13]:
            raise ZeroDivisionError("planted")
        if seeds == [7]:
            raise CannotEdit("planted refusal")
        return [EditedImage(case.source, seed, seed + 1, {"steps": 4}, 0.5) for seed in seeds]


def counting(name: object, settings: Any) -> Counting:
    Counting.loads.append(settings["variant"])
    return Counting()


def test_an_editor_is_loaded_once_and_its_fault_costs_one_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "load_editor", counting)
    monkeypatch.setattr(Counting, "loads", [])
    items = [
        item(f"{seed}/{variant}", variant=variant, seed=seed) for seed in (1, 7, 13) for variant in ("soft", "rough")
    ]
    folder = job(tmp_path / "job", items)
    assert in_process(folder) == {"images": 2, "failed": 4}
    assert sorted(Counting.loads) == ["rough", "soft"]
    assert {event["key"]: event["noise_seed"] for event in events(folder, "image")} == {"1/soft": 2, "1/rough": 2}
    reasons = {event["key"]: event["reason"] for event in events(folder, "item_failed")}
    assert reasons["7/soft"] == "planted refusal"
    assert "ZeroDivisionError" in reasons["13/rough"]


def test_a_full_disk_stops_the_job_with_the_systems_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, os.strerror(28), str(target))

    folder = job(tmp_path / "job", [item("a")])
    monkeypatch.setattr(module.os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        in_process(folder)
    assert not events(folder, "image")
