"""What a "generate" job does when an editor fails: too little memory, one image after another, several at once."""

import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.gpu.test_generate import events, in_process, item, job
from training.gpu import generate as module
from training.gpu.editors import CannotEdit, EditCase, EditedImage, EditorFailed, OutOfMemory
from training.gpu.generate import IN_A_ROW, generate
from webapp.jobs.folder import JobError, JobRun, JobStopped

Edit = Callable[[EditCase, Sequence[int]], list[EditedImage]]


def made(case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
    return [EditedImage(case.source, seed, None, {}, 0.1) for seed in seeds]


class Scripted:
    """An editor that does what the test says, and notes the batches that it got."""

    def __init__(self, edit: Edit, **attributes: Any) -> None:
        self.seen: list[list[int]] = []
        self.do = edit
        for name, value in attributes.items():
            setattr(self, name, value)

    def edit(self, case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        self.seen.append(list(seeds))
        return self.do(case, seeds)


def scripted(monkeypatch: pytest.MonkeyPatch, edit: Edit, **attributes: Any) -> Scripted:
    editor = Scripted(edit, **attributes)
    monkeypatch.setattr(module, "load_editor", lambda *_words: editor)
    return editor


def items(count: int) -> list[dict[str, Any]]:
    """Of one case, the seeds 0 to count - 1; each is its item's key."""
    return [item(str(seed), seed=seed) for seed in range(count)]


def keys(folder: Path, name: str) -> set[int]:
    return {int(event["key"]) for event in events(folder, name)}


class Tensors:
    """What a pipeline's frames hold."""


@pytest.mark.parametrize("error", [OutOfMemory, CannotEdit, ZeroDivisionError])
def test_a_failed_batch_is_let_go_before_its_images_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    held: list[weakref.ref[Tensors]] = []
    alive: list[bool] = []

    def edit(case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        alive.extend(one() is not None for one in held)
        if len(seeds) > 1:
            latents = Tensors()
            held.append(weakref.ref(latents))
            try:
                raise MemoryError("no memory")
            except MemoryError as cause:
                raise error("no memory") from cause
        return made(case, seeds)

    scripted(monkeypatch, edit, batch=4)
    assert in_process(job(tmp_path / "job", items(4))) == {"images": 4, "failed": 0}
    assert held
    assert not any(alive)


def test_after_too_little_memory_batches_stay_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def edit(case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        if len(seeds) > 2:
            raise OutOfMemory("no memory")
        return made(case, seeds)

    editor = scripted(monkeypatch, edit, batch=6)
    folder = job(tmp_path / "job", items(9))
    assert in_process(folder) == {"images": 9, "failed": 0}
    assert [len(seeds) for seeds in editor.seen] == [6, 3, 2, 2, 2, 2, 1]
    assert keys(folder, "image") == set(range(9))


def test_one_bad_case_costs_its_batch_no_other_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def edit(case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        if 2 in seeds:
            raise CannotEdit("planted")
        return made(case, seeds)

    editor = scripted(monkeypatch, edit, batch=4)
    folder = job(tmp_path / "job", items(8))
    assert in_process(folder) == {"images": 7, "failed": 1}
    assert keys(folder, "item_failed") == {2}
    assert editor.seen == [[0, 1, 2, 3], [0], [1], [2], [3], [4, 5, 6, 7]]


def broken_from(first: int, to: int = 10**9) -> Edit:
    def edit(case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        if first <= seeds[0] < to:
            raise RuntimeError(f"CUDA error: device-side assert triggered (image {seeds[0]})")
        return made(case, seeds)

    return edit


def test_a_run_of_failures_ends_the_job_and_marks_none_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = scripted(monkeypatch, broken_from(3))
    folder = job(tmp_path / "job", items(200))
    with pytest.raises(JobError, match=rf"{IN_A_ROW} images in a row .*device-side assert.*[Rr]esume"):
        in_process(folder)
    assert keys(folder, "image") == {0, 1, 2}
    assert events(folder, "item_failed") == []
    assert len(editor.seen) == 3 + IN_A_ROW
    scripted(monkeypatch, made)
    assert in_process(folder) == {"images": 200, "failed": 0}, "a resume tries them again"


def test_a_resume_begins_with_what_did_not_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases on which the editor always breaks must not keep the others from being made."""
    scripted(monkeypatch, broken_from(0, 30))
    folder = job(tmp_path / "job", items(50))
    with pytest.raises(JobError):
        in_process(folder)
    with pytest.raises(JobError):
        in_process(folder)
    with pytest.raises(JobError):
        in_process(folder)
    assert keys(folder, "image") == set(range(30, 50))


def test_one_short_of_a_run_goes_on_and_marks_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, broken_from(3, 3 + IN_A_ROW - 1))
    folder = job(tmp_path / "job", items(40))
    assert in_process(folder) == {"images": 41 - IN_A_ROW, "failed": IN_A_ROW - 1}
    assert keys(folder, "item_failed") == set(range(3, 2 + IN_A_ROW))
    assert events(folder, "progress")[-1]["done"] == 40


def test_different_reasons_and_the_editors_own_refusals_are_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edit(case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        if seeds[0] < 40:
            raise CannotEdit("This editor does not know the task crop.")
        if seeds[0] < 80:
            raise (ValueError if seeds[0] % 2 else KeyError)("planted")
        return made(case, seeds)

    scripted(monkeypatch, edit)
    assert in_process(job(tmp_path / "job", items(90))) == {"images": 10, "failed": 80}


def test_failures_of_a_stopped_job_are_not_marked_before_they_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = job(tmp_path / "job", items(9))
    run = JobRun(folder)

    def edit(case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        if seeds[0] == 5:
            run.stop()
        raise EditorFailed("The service is in trouble.")

    scripted(monkeypatch, edit)
    with pytest.raises(JobStopped):
        generate(run)
    assert events(folder, "item_failed") == []


# Several at once ------------------------------------------------------------------------------------------------------


def test_an_editor_with_threads_is_asked_for_several_images_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = threading.Barrier(3, timeout=20)

    def edit(case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        meeting.wait()  # goes on only where three are here
        return made(case, seeds)

    editor = scripted(monkeypatch, edit, threads=3)
    folder = job(tmp_path / "job", items(9))
    assert in_process(folder) == {"images": 9, "failed": 0}
    assert sorted(editor.seen) == [[seed] for seed in range(9)]
    assert events(folder, "progress")[-1]["done"] == 9


def test_each_image_is_kept_as_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first image waits for the event of the second: nothing waits for the slowest."""
    folder = job(tmp_path / "job", items(3))

    def edit(case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        deadline = time.monotonic() + 20
        while seeds[0] == 0 and keys(folder, "image") != {1, 2}:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return made(case, seeds)

    scripted(monkeypatch, edit, threads=2)
    assert in_process(folder) == {"images": 3, "failed": 0}


def test_what_is_under_way_is_kept_when_one_ends_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = threading.Event()

    def edit(case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        if seeds[0] == 3:
            refused.set()
            raise JobError("The account is used up.")
        assert refused.wait(20)
        time.sleep(0.3)
        return made(case, seeds)

    editor = scripted(monkeypatch, edit, threads=8)
    folder = job(tmp_path / "job", items(30))
    with pytest.raises(JobError, match="used up"):
        in_process(folder)
    assert keys(folder, "image") == set(range(8)) - {3}
    assert len(editor.seen) == 8, "no further one was begun"


def test_a_stop_keeps_what_comes_soon_and_waits_for_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = job(tmp_path / "job", items(30))
    run, told = JobRun(folder), threading.Event()
    monkeypatch.setattr(module, "DRAIN_SECONDS", 1.0)

    def edit(case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        if seeds[0] == 0:
            run.stop()
            time.sleep(0.2)
        if seeds[0] == 1:
            assert told.wait(20)  # a pause between two tries
            raise JobStopped
        if seeds[0] == 2:
            time.sleep(600)
        return made(case, seeds)

    scripted(monkeypatch, edit, threads=3, stop=told.set)
    with pytest.raises(JobStopped):
        generate(run)
    assert keys(folder, "image") == {0}
    assert events(folder, "item_failed") == []
