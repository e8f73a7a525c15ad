"""The editor that asks a service, through the program that makes candidates, on a real job folder."""

import base64
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.endpoints.service import KEY, Asked, Reply, Service, edited, error, png, running
from training.gpu.editors import CannotEdit, EditCase, EditorError, EditorFailed, load_editor
from webapp.endpoints.http import to_environment
from webapp.jobs.folder import JobError, read_events, read_json

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
MASK = Image.new("L", (30, 20), 0)
MASK.paste(255, (5, 5, 15, 15))


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with running(edited) as made:
        given = to_environment([made.endpoint(slug="pictures", kind="images", concurrency=3, price_image=0.02)])
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        yield made


def editor(**settings: Any) -> Any:
    return load_editor("openai_images", {"endpoint": "pictures", **settings})


def case(instruction: str = "Invert it", mask: Image.Image | None = None, **changes: Any) -> EditCase:
    return EditCase(SOURCE, mask, instruction, "color", **changes)


def job(folder: Path, items: int = 2, **settings: Any) -> Path:
    """A job folder with cases for the editor."""
    (folder / "inputs").mkdir(parents=True)
    SOURCE.save(folder / "inputs" / "source.png")
    MASK.save(folder / "inputs" / "mask.png")
    rows = [
        {
            "key": f"k{number}",
            "editor": {"module": "openai_images", "settings": {"endpoint": "pictures", **settings}},
            "seed": number,
            "case": {
                "source": "inputs/source.png",
                "mask": "inputs/mask.png",
                "instruction": f"Edit {number}",
                "task": "color",
            },
        }
        for number in range(items)
    ]
    (folder / "inputs" / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "job.json").write_text(json.dumps({"kind": "generate", "config": {"items": items}}))
    return folder


def run(folder: Path) -> dict[str, Any]:
    with (folder / "log.txt").open("wb") as log:
        command = [sys.executable, "-m", "training.gpu.run", str(folder)]
        subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=120)
    result: dict[str, Any] = read_json(folder / "result.json")
    return result


def events(folder: Path, name: str) -> list[dict[str, Any]]:
    return [event for event in read_events(folder / "events.jsonl")[0] if event["event"] == name]


def test_it_works_through_a_job(service: Service, tmp_path: Path) -> None:
    folder = job(tmp_path / "job", items=4, quality="high", mask=True, size="source")
    result = run(folder)
    assert result["status"] == "succeeded", result
    made = events(folder, "image")
    assert sorted(event["key"] for event in made) == ["k0", "k1", "k2", "k3"]
    for event in made:
        with Image.open(folder / event["file"]) as image:
            assert image.size == SOURCE.size
        about = event["settings"]
        assert about["seed_honoured"] is False
        assert (about["source_size"], about["answer_size"]) == ([30, 20], [45, 30])
        assert (about["endpoint"], about["model"], about["cost"]) == ("pictures", "asked-model", 0.02)
        assert event["noise_seed"] is None
    assert sorted(event["seed"] for event in made) == [0, 1, 2, 3]
    prompts = sorted(asked.parts()["prompt"].decode() for asked in service.asked)
    assert prompts == ["Edit 0", "Edit 1", "Edit 2", "Edit 3"]
    parts = service.asked[0].parts()
    assert (parts["quality"], parts["size"]) == (b"high", b"30x20")
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert KEY.encode() not in everything, "no file of the job holds the key"


def test_the_edit_is_the_answer_at_the_source_s_size(service: Service) -> None:
    def same_size(asked: Asked) -> Reply:
        data = png(ImageOps.invert(SOURCE))
        return Reply(value={"data": [{"b64_json": base64.b64encode(data).decode()}], "model": "dated-1"})

    service.usual = same_size
    (made,) = editor().edit(case(), [7])
    assert np.array_equal(np.asarray(made.image), 255 - np.asarray(SOURCE))
    assert (made.seed, made.noise_seed, made.settings["model"]) == (7, None, "dated-1")


def test_the_mask_is_transparent_where_ours_is_white(service: Service) -> None:
    editor(mask=True).edit(case(mask=MASK), [0])
    editor().edit(case(mask=MASK), [0])
    with_mask, without = (asked.parts() for asked in service.asked)
    assert "mask" not in without
    sent = Image.open(io.BytesIO(with_mask["mask"]))
    assert sent.mode == "RGBA"
    assert np.array_equal(np.asarray(sent)[..., 3], 255 - np.asarray(MASK))


def test_another_model_than_the_endpoint_s(service: Service) -> None:
    (made,) = editor(model="special").edit(case(), [0])
    assert service.asked[0].parts()["model"] == b"special"
    assert made.settings["model"] == "special"


def test_a_refusal_costs_its_own_case_and_nothing_is_paid_twice(service: Service, tmp_path: Path) -> None:
    def usual(asked: Asked) -> Reply:
        refused = asked.parts()["prompt"] == b"Edit 1"
        return error(400, "Your request was rejected by the safety system") if refused else edited(asked)

    service.usual = usual
    folder = job(tmp_path / "job", items=5)
    assert run(folder)["status"] == "succeeded"
    assert len(events(folder, "image")) == 4
    (failed,) = events(folder, "item_failed")
    assert failed["key"] == "k1"
    assert "safety system" in failed["reason"]
    assert len(service.asked) == 5, "one request an image, though a batch failed"


def test_a_wrong_key_ends_the_job(service: Service, tmp_path: Path) -> None:
    service.usual = lambda asked: error(401, f"Incorrect API key provided: {KEY}")
    folder = job(tmp_path / "job", items=6)
    result = run(folder)
    assert result["status"] == "failed"
    assert "does not accept the key" in result["message"]
    assert len(service.asked) <= 3, "the first batch alone"
    assert KEY.encode() not in b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    service.usual = edited
    assert run(folder)["status"] == "succeeded", "resumed with another key"
    assert len(events(folder, "image")) == 6


@pytest.mark.parametrize("trouble", [error(404), error(402), error(429, code="insufficient_quota")])
def test_what_would_fail_again_ends_the_job(service: Service, trouble: Reply) -> None:
    service.script.append(trouble)
    with pytest.raises(JobError):
        editor().edit(case(), [0])


def at_once(service: Service, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    given = to_environment([service.endpoint(slug="pictures", kind="images", concurrency=number)])
    for name, value in given.items():
        monkeypatch.setenv(name, value)


def test_paid_images_are_kept_when_the_account_is_used_up(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Eight at once, and the quickest answer is that there is no money left: the others are paid for."""
    at_once(service, monkeypatch, 8)

    def usual(asked: Asked) -> Reply:
        if asked.parts()["prompt"] == b"Edit 3":
            return error(402, "used up", "insufficient_quota")
        time.sleep(0.5)
        return edited(asked)

    service.usual = usual
    folder = job(tmp_path / "job", items=12)
    result = run(folder)
    assert result["status"] == "failed"
    assert "used up" in result["message"]
    assert {event["key"] for event in events(folder, "image")} == {"k0", "k1", "k2", "k4", "k5", "k6", "k7"}
    assert len(service.asked) == 8
    service.usual = edited
    assert run(folder)["status"] == "succeeded"
    assert len(service.asked) == 8 + 5, "a resume pays for what is missing alone"


def test_a_stop_ends_pauses_and_keeps_what_comes(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at_once(service, monkeypatch, 4)

    def usual(asked: Asked) -> Reply:
        if asked.parts()["prompt"] in (b"Edit 0", b"Edit 1"):
            return error(503, "busy", Retry_After="55")
        time.sleep(1)
        return edited(asked)

    service.usual = usual
    folder = job(tmp_path / "job", items=40)
    command = [sys.executable, "-m", "training.gpu.run", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not events(folder, "image"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, "the pauses of 55 seconds are not waited for"
    assert read_json(folder / "result.json")["status"] == "cancelled"
    answered = [asked for asked in service.asked if asked.parts()["prompt"] not in (b"Edit 0", b"Edit 1")]
    assert len(events(folder, "image")) == len(answered) < 38
    assert events(folder, "item_failed") == []


def test_a_service_that_is_down_ends_the_job_after_a_run_of_failures(service: Service, tmp_path: Path) -> None:
    service.usual = lambda asked: error(503, "down for the night", Retry_After="3600")
    folder = job(tmp_path / "job", items=60)
    result = run(folder)
    assert result["status"] == "failed"
    assert "in a row" in result["message"] and "down for the night" in result["message"]
    assert events(folder, "item_failed") == []
    assert len(service.asked) < 30


def test_a_transparent_answer_lies_on_white_as_in_the_library(service: Service) -> None:
    clear = Image.new("RGBA", (45, 30), (0, 0, 0, 0))
    service.usual = lambda asked: Reply(value={"data": [{"b64_json": base64.b64encode(png(clear)).decode()}]})
    (made,) = editor().edit(case(), [0])
    assert made.image.getpixel((3, 3)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(400, "Your request was rejected by the safety system"), CannotEdit),
        (error(400, "size must be 1024x1024"), CannotEdit),
        (error(503, "down", Retry_After="3600"), EditorFailed),
        (Reply(value={}), EditorFailed),
        (Reply(value={"data": [{"b64_json": base64.b64encode(b"no picture").decode()}]}), EditorFailed),
    ],
)
def test_what_is_the_case_s_own_and_what_is_the_service_s(service: Service, reply: Reply, kind: type) -> None:
    service.script.append(reply)
    with pytest.raises(CannotEdit) as caught:
        editor().edit(case(), [0])
    assert type(caught.value) is kind


BAD = [
    (Reply(value={"data": [{"b64_json": base64.b64encode(b"no picture").decode()}]}), "cannot be read"),
    (Reply(value={"data": [{"b64_json": base64.b64encode(png(SOURCE)[:200]).decode()}]}), "cannot be read"),
    (Reply(value={}), "without images"),
    (error(400, "size must be 1024x1024"), "size must be"),
]


@pytest.mark.parametrize(("reply", "words"), BAD)
def test_a_bad_answer_costs_one_case(service: Service, reply: Reply, words: str) -> None:
    service.script.append(reply)
    with pytest.raises(CannotEdit, match=words):
        editor().edit(case(), [0])


def test_an_empty_instruction_is_not_sent(service: Service) -> None:
    with pytest.raises(CannotEdit, match="no instruction"):
        editor().edit(case(instruction="  "), [0])
    assert service.asked == []


WRONG = [
    ({}, "endpoint"),
    ({"endpoint": 7}, "endpoint"),
    ({"endpoint": "other"}, "no endpoint “other”"),
    ({"endpoint": "pictures", "speed": 9}, "speed"),
    ({"endpoint": "pictures", "api_key": "x"}, "api_key"),
    ({"endpoint": "pictures", "size": "huge"}, "size"),
    ({"endpoint": "pictures", "quality": "a b"}, "quality"),
    ({"endpoint": "pictures", "mask": "yes"}, "mask"),
    ({"endpoint": "pictures", "model": ""}, "model"),
]


@pytest.mark.parametrize(("given", "words"), WRONG)
def test_wrong_settings(service: Service, given: dict[str, Any], words: str) -> None:
    with pytest.raises(EditorError, match=words):
        load_editor("openai_images", given)


def test_an_endpoint_for_chat_makes_no_images(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in to_environment([service.endpoint(slug="pictures", kind="chat")]).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EditorError, match="kind chat"):
        editor()
