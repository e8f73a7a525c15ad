"""The scoring service: the real process asked by a real client, and every refusal."""

import asyncio
import base64
import http.client
import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.gpu.reward.saved import OTHER, PAIR, photograph, pictures, saved
from training.gpu.editors import CannotEdit
from training.gpu.reward import serve, wire
from training.gpu.reward.answers import answers, problem_of, told
from training.gpu.reward.network import Example, Prepared
from training.gpu.reward.scorer import Scored, Scorer
from training.gpu.reward.serve import Queue, Service, main
from training.gpu.reward.wire import Refusal, read_request

ROOT = Path(__file__).parents[3]
TOKEN = "a-long-random-word"


def text(data: bytes, head: str = "") -> str:
    return head + base64.b64encode(data).decode()


def item(pair: Any = PAIR, *more: str) -> dict[str, Any]:
    source, *edits = map(text, pictures(pair))
    return {"instruction": pair.edit.instruction, "source": source, "candidates": [*edits, *more]}


# The real process ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("serve") / "model")


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = [sys.executable, "-m", "training.gpu.reward.serve", str(folder), "--port", str(port), "--device", "cpu"]
    process = subprocess.Popen(program, cwd=ROOT, env={**os.environ, "EDITLOOP_REWARD_TOKEN": TOKEN})
    try:
        for _try in range(600):
            assert process.poll() is None
            try:
                http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        assert process.wait(30) in (0, -15)


def ask(port: int, method: str, path: str, body: Any = None, token: str = TOKEN, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection.request(method, path, data, {"Authorization": f"Bearer {token}", **headers})
    response = connection.getresponse()
    found = response.status, json.loads(response.read())
    connection.close()
    return found


def test_it_works(port: int, folder: Path) -> None:
    """Scores over HTTP are the model's own; data URLs are the same as base64; a photograph has its own error."""
    source, good, _bright = pictures(OTHER)
    second = {
        "instruction": OTHER.edit.instruction,
        "source": text(source, "data:image/png;base64,"),
        "candidates": [text(good, "data:image/png;base64,")],
    }
    status, found = ask(port, "POST", "/v1/score", {"items": [item(PAIR, text(photograph())), second]})
    assert status == 200
    first, other = (one["candidates"] for one in found["items"])
    assert set(first[0]) == {"overall", "overall_sigma", "scale", "mu", "sigma"} and first[0]["scale"] == [0.5, 52.5]
    assert list(first[2]) == ["error"] and len(first) == 3 and len(other) == 1

    examples = read_request(json.dumps({"items": [item(PAIR), second]}).encode())
    mine = Scorer.load(folder, "cpu").score(examples)
    assert [one["overall"] for one in first[:2]] == pytest.approx([one.overall for one in mine[0]], abs=1e-3)
    assert other[0]["mu"] == pytest.approx(mine[1][0].mu, abs=1e-3)


def test_it_says_what_it_is(port: int) -> None:
    status, card = ask(port, "GET", "/v1/model")
    assert (status, card["notice"], card["scale"]) == (200, "Demo data.", [0.5, 52.5])
    assert [one["key"] for one in card["dimensions"]] == ["alignment", "overall"] and len(card["fingerprint"]) == 64


@pytest.mark.parametrize(
    ("method", "path", "body", "token", "status", "words"),
    [
        ("GET", "/v1/model", None, "wrong", 401, "Authorization: Bearer"),
        ("POST", "/v1/score", {"items": []}, "", 401, "Authorization: Bearer"),
        ("POST", "/v1/score", b"{", TOKEN, 400, "not JSON"),
        ("POST", "/v1/score", {"items": []}, TOKEN, 400, "at least one item"),
        ("POST", "/v1/score", {"items": [{"instruction": "x"}]}, TOKEN, 422, "items[0].candidates"),
        ("GET", "/v1/score", None, TOKEN, 405, "POST /v1/score"),
        ("GET", "/", None, TOKEN, 404, "what there is"),
    ],
)
def test_what_the_service_refuses(
    port: int, method: str, path: str, body: Any, token: str, status: int, words: str
) -> None:
    found, said = ask(port, method, path, body, token)
    assert (found, words in said["error"]) == (status, True), said


def test_a_body_that_is_too_long_is_refused_before_it_is_read(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("POST", "/v1/score")
    connection.putheader("Authorization", f"Bearer {TOKEN}")
    connection.putheader("Content-Length", str(wire.MOST_BYTES + 1))
    connection.endheaders()
    response = connection.getresponse()
    assert (response.status, "MiB" in json.loads(response.read())["error"]) == (413, True)
    connection.close()


def test_without_a_token_it_does_not_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDITLOOP_REWARD_TOKEN", "  ")
    assert main([str(folder)]) == 2
    assert "EDITLOOP_REWARD_TOKEN" in capsys.readouterr().err
    with pytest.raises(ValueError, match="without a token"):
        Service(Slow(), {}, "")


def test_a_folder_that_is_no_model_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDITLOOP_REWARD_TOKEN", TOKEN)
    assert main([str(tmp_path)]) == 2
    assert "is no reward model" in capsys.readouterr().err


# Requests ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"instruction": " "}, 422, "items[0].instruction must be a text"),
        ({"instruction": "x" * 4001}, 422, "4000 are the most"),
        ({"instruction": "half \ud83d"}, 422, "items[0].instruction has half a character"),
        ({"candidates": []}, 422, "at least one"),
        ({"candidates": "x"}, 422, "must be a list"),
        ({"source": 5}, 422, "items[0].source must be a picture"),
        ({"source": "http://127.0.0.1/a.png"}, 422, "Nothing is fetched"),
        ({"source": "file:///etc/passwd"}, 422, "Nothing is fetched"),
        ({"source": "data:image/png,xx"}, 422, "without base64"),
        ({"source": "***"}, 422, "is not base64"),
        ({"source": text(b"GIF89a" + b"x" * 50)}, 422, "items[0].source cannot be read"),
        ({"candidates": [text(pictures(PAIR)[0][:90])]}, 422, "items[0].candidates[0] cannot be read"),
        ({"candidates": ["x"] * 257}, 413, "256 are the most"),
    ],
)
def test_a_wrong_item_is_refused_with_its_place(change: dict[str, Any], status: int, words: str) -> None:
    with pytest.raises(Refusal) as found:
        read_request(json.dumps({"items": [{**item(), **change}]}).encode())
    assert (found.value.status, words in str(found.value)) == (status, True), str(found.value)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"[]", 400), (b"\xff", 400), (b"[" * 100_000, 400), (b'{"items": [5]}', 422), (b'{"items": {}}', 400)],
)
def test_a_wrong_body_is_refused(body: bytes, status: int) -> None:
    with pytest.raises(Refusal) as found:
        read_request(body)
    assert found.value.status == status


def test_too_many_items_are_refused() -> None:
    with pytest.raises(Refusal, match="64 are the most"):
        read_request(json.dumps({"items": [5] * 65}).encode())


def test_pictures_are_counted_by_their_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file can hold a large picture, and many of them fill the memory."""
    monkeypatch.setattr(wire, "MOST_PIXELS", 2 * 64 * 64)
    with pytest.raises(Refusal, match="megapixels together") as found:
        read_request(json.dumps({"items": [item()]}).encode())
    assert found.value.status == 413


# Batches -------------------------------------------------------------------------------------------------------------


class Slow:
    """A model that waits to be let go on, and notes its batches."""

    def __init__(self) -> None:
        self.go, self.batches = threading.Event(), []  # type: ignore[var-annotated]
        self.at_once = self.most = 0

    def score(self, examples: Sequence[Example]) -> list[list[Scored]]:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.go.wait(20)
        self.batches.append([example.key for example in examples])
        self.at_once -= 1
        if any(example.key == "bad" for example in examples):
            raise ValueError("no")
        if any(example.key == "odd" for example in examples):
            raise CannotEdit("This one is odd.")
        return [[Scored({}, {}, float(len(example.key)), 1.0, 0, 9)] * len(example.candidates) for example in examples]


def example(key: str, candidates: int = 1) -> Example:
    return Example(key, "i", None, (None,) * candidates)  # type: ignore[arg-type]


def run_queue(model: Slow, *asked: Example) -> list[Any]:
    """Ask for all of them at once, and let the model go on when they wait."""

    async def inner() -> list[Any]:
        queue = Queue(model)
        worker = asyncio.create_task(queue.work())
        asking = [asyncio.create_task(queue.ask([one])) for one in asked]
        await asyncio.sleep(0.1)
        model.go.set()
        found = await asyncio.gather(*asking, return_exceptions=True)
        worker.cancel()
        return found

    return asyncio.run(inner())


def test_requests_that_wait_are_one_batch_and_one_batch_runs_at_a_time() -> None:
    model = Slow()
    found = run_queue(model, *(example("x" * number) for number in range(1, 6)))
    assert [group[0][0].overall for group in found] == [1, 2, 3, 4, 5]
    assert sum(map(len, model.batches)) == 5 and len(model.batches) <= 2 and model.most == 1


def test_a_batch_has_a_size() -> None:
    model = Slow()
    run_queue(model, *(example(key, serve.AT_ONCE - 1) for key in "abc"))
    assert model.batches == [["a"], ["b"], ["c"]]


def test_a_batch_that_fails_is_said_and_the_next_is_served(caplog: pytest.LogCaptureFixture) -> None:
    model = Slow()
    found = run_queue(model, example("bad", serve.AT_ONCE), example("x"))
    assert isinstance(found[0], Refusal) and found[0].status == 503
    assert found[1][0][0].overall == 1
    assert "a batch was not scored" in caplog.text


def test_a_bad_request_does_not_fail_the_others_of_its_batch(caplog: pytest.LogCaptureFixture) -> None:
    model = Slow()
    found = run_queue(model, *(example(key) for key in ("x", "y", "bad", "zz")))
    assert ["y", "bad", "zz"] in model.batches or ["x", "y", "bad", "zz"] in model.batches
    assert [type(one) for one in found] == [list, list, Refusal, list] and found[2].status == 503
    assert [found[place][0][0].overall for place in (0, 1, 3)] == [1, 1, 2]


def test_too_many_waiting_are_refused() -> None:
    found = run_queue(Slow(), *(example("x") for _one in range(serve.MOST_WAITING + 3)))
    refused = [one for one in found if isinstance(one, Refusal)]
    assert refused and {one.status for one in refused} == {503}
    assert len(found) - len(refused) >= serve.MOST_WAITING


def test_a_candidate_that_is_refused_leaves_the_others_their_scores() -> None:
    class Picky:
        def score(self, examples: Sequence[Example]) -> list[list[Scored]]:
            if any(None in one.candidates for one in examples):
                raise CannotEdit("Not this.")
            return [[Scored({}, {}, 1.0, 1.0, 0, 9)] * len(one.candidates) for one in examples]

    asked = [Example("a", "i", 0, (1, None, 1)), Example("b", "i", 0, (1,))]  # type: ignore[arg-type]
    found = answers(Picky(), asked)
    assert [[isinstance(one, str) for one in group] for group in found] == [[False, True, False], [False]]


class Counting:
    """A network of one dimension whose score is the candidate itself, and which notes the size of each pass."""

    dimensions = ("overall",)

    def __init__(self) -> None:
        self.passes: list[int] = []
        self.backbone = self

    def eval(self) -> "Counting":
        return self

    def prepare(self, one: Example) -> Prepared:
        return Prepared(one.key, {"mu": torch.tensor([[float(c)] for c in one.candidates])}, 1, len(one.candidates))  # type: ignore[arg-type]

    def collate(self, rows: Sequence[Prepared]) -> torch.Tensor:
        return torch.cat([row.tensors["mu"] for row in rows])

    def __call__(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.passes.append(len(batch))
        return batch, torch.zeros_like(batch)


def test_many_candidates_of_one_source_are_several_passes() -> None:
    network, told = Counting(), {"dimensions": [{"key": "overall", "low": 0, "high": 200}], "aggregate": "mean"}
    sizes = (3, 150, 1, 64)
    asked = [Example(f"{size}", "i", None, tuple(range(size))) for size in sizes]  # type: ignore[arg-type]
    found = Scorer(network, told).score(asked)  # type: ignore[arg-type]
    assert [[one.mu["overall"] for one in group] for group in found] == [list(range(size)) for size in sizes]
    assert sum(network.passes) == sum(sizes) and max(network.passes) <= 64


def test_a_group_that_is_cut_has_the_same_scores(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = read_request(json.dumps({"items": [item(PAIR), item(OTHER)]}).encode())
    scorer = Scorer.load(folder, "cpu")
    whole = scorer.score(asked)
    monkeypatch.setattr("training.gpu.reward.scorer.MOST_CANDIDATES", 1)
    cut = scorer.score(asked)
    assert [len(group) for group in cut] == [2, 2]
    for one, other in zip(chain(*whole), chain(*cut), strict=True):
        assert one.mu == pytest.approx(other.mu, rel=1e-4) and one.sigma == pytest.approx(other.sigma, rel=1e-4)


def test_a_score_that_is_no_number_is_an_error_and_never_in_json() -> None:
    good = Scored({"a": 1.0}, {"a": 0.5}, 1.0, 0.5, 0, 9)
    assert problem_of(good) == "" and problem_of("Odd.") == "Odd."
    broken = (replace(good, overall=math.nan), replace(good, mu={"a": math.inf}), replace(good, sigma={"a": math.nan}))
    for one in broken:
        assert "no finite number" in problem_of(one) and list(told(one)) == ["error"]


# Files of the command line -------------------------------------------------------------------------------------------


def test_files_are_scored_by_line(folder: Path, tmp_path: Path) -> None:
    from training.gpu.reward.score_files import WrongLine, score_lines

    names = []
    for name, data in zip(("s", "good", "bright"), pictures(PAIR), strict=True):
        (tmp_path / f"{name}.png").write_bytes(data)
        names.append(str(tmp_path / f"{name}.png"))
    (tmp_path / "photo.png").write_bytes(photograph())
    line = {
        "instruction": PAIR.edit.instruction,
        "source": names[0],
        "candidates": [names[1], str(tmp_path / "photo.png"), names[2], str(tmp_path / "gone.png")],
    }
    scorer = Scorer.load(folder, "cpu")
    rows = list(score_lines(scorer, [json.dumps(line), "\n"]))
    assert ["error" in row for row in rows] == [False, True, False, True]
    assert [Path(row["candidate"]).stem for row in rows] == ["good", "photo", "bright", "gone"]
    assert "does not exist" in rows[3]["error"] and rows[0]["overall"] != rows[2]["overall"]
    with pytest.raises(WrongLine, match=r"Line 1: .* half a character"):
        list(score_lines(scorer, [json.dumps({**line, "instruction": "half \udc00"})]))
    for wrong in ("{", "5", '{"instruction": "x"}', '{"instruction": 1, "source": "s", "candidates": []}'):
        with pytest.raises(WrongLine, match="Line 2"):
            list(score_lines(scorer, [json.dumps(line), wrong]))
