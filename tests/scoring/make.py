"""Requests, job folders of the kind "score", and answers as a judge behind a service gives them."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from scoring.judging.contract import Request
from tests.endpoints.service import Asked, Reply, chat
from webapp.jobs.folder import read_events

A, B = (200, 30, 30), (30, 30, 200)  # the colours of the source and of the edit


def pictures(folder: Path, side: int = 16) -> tuple[str, str]:
    """A red source and a blue edit."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, colour in (("a.png", A), ("b.png", B)):
        if not (folder / name).exists():
            Image.new("RGB", (side, side), colour).save(folder / name)
    return str(folder / "a.png"), str(folder / "b.png")


def request(key: str = "k", source: str = "a.png", edited: str = "b.png", **changes: Any) -> Request:
    values = {"text": f"Prompt of {key}", "low": 0, "high": 5, "questions": ("colour", "shape")}
    return Request(key=key, source=source, edited=edited, **{**values, **changes})


def said(score: Any = 4, first: str = "yes", second: str = "no", **more: Any) -> str:
    """A good answer to two questions."""
    answers = [{"question": 1, "answer": first, "why": "red"}, {"question": 2, "answer": second, "why": "round"}]
    return json.dumps({"answers": answers, "reasoning": "It fits.", "score": score, **more})


def tokens(text: str, digit: str, top: Mapping[str, float]) -> dict[str, Any]:
    """Probabilities for a text: the last ``digit`` in it is a token of its own with the likeliest tokens ``top``."""
    place = text.rindex(digit)
    rows = [{"token": piece, "logprob": -0.01, "top_logprobs": []} for piece in (text[:place], text[place + 1 :])]
    likeliest = [{"token": token, "logprob": math.log(share)} for token, share in top.items()]
    middle = {"token": digit, "logprob": math.log(top.get(digit, 0.01)), "top_logprobs": likeliest}
    return {"content": [rows[0], middle, rows[1]]}


def answer(text: str, finish: str = "stop", logprobs: Any = None, **message: Any) -> Reply:
    reply = chat(text)
    reply.value["choices"][0] |= {"finish_reason": finish, "logprobs": logprobs}
    reply.value["choices"][0]["message"] |= message
    return reply


def key_of(asked: Asked) -> str:
    """The key of the request that a service was asked."""
    return str(asked.value["messages"][0]["content"][0]["text"]).removeprefix("Prompt of ")


def job(folder: Path, keys: list[str], judge: dict[str, Any], **config: Any) -> Path:
    pictures(folder / "inputs")
    rows = [request(key, "inputs/a.png", "inputs/b.png", ref=(7, number)).to_json() for number, key in enumerate(keys)]
    (folder / "inputs" / "requests.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    again(folder, 1, judge=judge, **config)
    return folder


def again(folder: Path, attempt: int, **config: Any) -> None:
    """Write job.json for that attempt, with what is said of the config changed."""
    path = folder / "job.json"
    before = json.loads(path.read_text())["config"] if path.exists() else {}
    path.write_text(json.dumps({"kind": "score-service", "config": {**before, **config}, "attempt": attempt}))


def answered(folder: Path) -> list[dict[str, Any]]:
    return [event for event in read_events(folder / "events.jsonl")[0] if event["event"] == "answer"]


def result(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return value
