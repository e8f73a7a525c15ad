"""Rewards over HTTP from real servers: a judge behind an endpoint, our own scoring service, and all their troubles."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from PIL import Image

from tests.endpoints.service import Asked, Reply, Service, chat, error, running
from tests.gpu.posttrain.rewarding import OTHER, PAIR, PROMPT, samples
from tests.gpu.reward.saved import saved
from training.gpu.posttrain.rewarding import Source, judges, load_source, refuse_same, waiting
from training.gpu.posttrain.rewarding import service as module
from training.gpu.posttrain.rewarding.model import RewardSource
from training.gpu.posttrain.rewarding.truth import TruthSource
from training.gpu.reward.network import Example
from training.gpu.reward.scorer import Scorer
from training.gpu.reward.serve import Service as Scoring
from training.gpu.reward.serve import card_of
from webapp.endpoints import http
from webapp.endpoints.http import EndpointConfig, to_environment
from webapp.jobs.folder import JobError

TOKEN = "a-long-random-word"
JUDGE: dict[str, Any] = {
    "name": "vlm",
    "kind": "endpoint",
    "settings": {"endpoint": "local", "tries": 0},
    "prompt": {"color": PROMPT},
}
SERVICE: dict[str, Any] = {
    "name": "scorer",
    "kind": "http",
    "settings": {"endpoint": "local", "dimension": "alignment"},
}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.001)


def scored(value: float) -> Reply:
    answer = {"answers": [{"question": 1, "answer": "yes", "why": "."}], "reasoning": "Fine.", "score": value}
    return chat(json.dumps(answer))


def loaded(
    monkeypatch: pytest.MonkeyPatch, folder: Path, endpoint: EndpointConfig, spec: dict[str, Any] = JUDGE
) -> Any:
    for name, value in to_environment([endpoint]).items():
        monkeypatch.setenv(name, value)
    return load_source(spec, folder)


def mus(source: Source, some: Any = None) -> list[float | None]:
    return [None if one is None else one.mu for one in source.judge(samples() if some is None else some)]


# A judge behind an endpoint ----------------------------------------------------------------------------------------


def test_an_endpoint_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pictures go out as data URLs with the key from the environment; answers keep the order of the samples."""

    def by_picture(asked: Asked) -> Reply:
        pictures = [part for part in asked.value["messages"][0]["content"] if part["type"] == "image_url"]
        assert asked.headers["authorization"] == "Bearer sk-secret-4711" and len(pictures) == 2
        same = pictures[0]["image_url"]["url"] == pictures[1]["image_url"]["url"]
        return scored(1 if same else 4)

    with running(by_picture) as service:
        source = loaded(monkeypatch, tmp_path, service.endpoint())
        assert mus(source) == [4, 4, 1] and mus(source) == [4, 4, 1]
        source.close()
    assert list(tmp_path.iterdir()) == []


def test_several_are_asked_at_once_and_no_more_than_the_endpoint_allows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    both = threading.Barrier(2, timeout=20)

    def together(_asked: Asked) -> Reply:
        both.wait()
        return scored(3)

    with running(together) as service:
        source = loaded(monkeypatch, tmp_path, service.endpoint(concurrency=2))
        assert mus(source, [*samples(), *samples(), *samples()[:2]]) == [3] * 8
        assert service.most_at_once == 2


def test_a_moment_of_trouble_is_asked_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with running(lambda asked: scored(5)) as service:
        service.script = [error(429, "slow down"), error(500), Reply(drop=True)]
        source = loaded(monkeypatch, tmp_path, service.endpoint(concurrency=1))
        assert mus(source) == [5, 5, 5] and not source.take_reasons() and len(service.asked) == 6


def test_nonsense_is_missing_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with running(lambda asked: scored(2)) as service:
        service.script = [chat("Nice picture!"), scored(99)]
        source = loaded(monkeypatch, tmp_path, service.endpoint(concurrency=1))
        found = mus(source, samples()[:1]) + mus(source, samples()[:1]) + mus(source, samples()[:1])
        assert found == [None, None, 2] and sum(source.take_reasons().values()) == 2


def test_a_service_that_is_down_gives_missing_answers_and_comes_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    down = [True]
    with running(lambda asked: error(500, "down") if down[0] else scored(4)) as service:
        source = loaded(monkeypatch, tmp_path, service.endpoint())
        assert mus(source) == [None] * 3
        ((reason, count),) = source.take_reasons().items()
        assert count == 3 and "in trouble" in reason and "down" in reason
        down[0] = False
        assert mus(source) == [4, 4, 4] and not source.take_reasons()


def test_after_a_row_of_failures_the_rest_of_the_call_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(judges, "IN_A_ROW", 3)
    with running(lambda asked: error(500)) as service:
        source = loaded(monkeypatch, tmp_path, service.endpoint(concurrency=1))
        assert mus(source, samples() * 4) == [None] * 12
        assert sum(source.take_reasons().values()) == 12
        assert 3 * 4 <= len(service.asked) <= 4 * 4


def test_a_slow_answer_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(http, "TRIES", 1)
    spec = {**JUDGE, "settings": {"endpoint": "local", "seconds": 1}}
    with running(lambda asked: replace(scored(4), pause=1.3)) as service:
        source = loaded(monkeypatch, tmp_path, service.endpoint(), spec)
        monkeypatch.setattr(source.asked.client, "tries", 1)
        assert mus(source, samples()[:1]) == [None] and "within 1 seconds" in next(iter(source.take_reasons()))


def test_a_wrong_key_is_missing_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with running(lambda asked: error(401)) as service:
        source = loaded(monkeypatch, tmp_path, service.endpoint(concurrency=1))
        assert mus(source) == [None] * 3 and len(service.asked) <= 2  # as many as are under way
        ((reason, count),) = source.take_reasons().items()
        assert count == 3 and "does not accept the key" in reason and "4711" not in reason


def test_a_private_address_is_refused_where_it_is_not_allowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with running() as service:
        source = loaded(monkeypatch, tmp_path, service.endpoint(allow_private=False))
        assert mus(source) == [None] * 3 and "refused" in next(iter(source.take_reasons()))
        with pytest.raises(JobError, match="refused"):
            loaded(monkeypatch, tmp_path, service.endpoint(allow_private=False), SERVICE)
        assert service.asked == []


def test_a_stop_leaves_what_does_not_answer_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(waiting, "DRAIN_SECONDS", 0.0)
    asked, go = threading.Event(), threading.Event()

    def hang(_asked: Asked) -> Reply:
        asked.set()
        go.wait(30)
        return scored(4)

    with running(hang) as service:
        source = loaded(monkeypatch, tmp_path, service.endpoint(concurrency=1))
        stopper = threading.Thread(target=lambda: asked.wait(20) and source.stop())
        stopper.start()
        assert mus(source) == [None] * 3
        assert source.take_reasons() == {waiting.STOPPED: 3}
        go.set()
        stopper.join()


# Our own scoring service -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    return Scorer.load(saved(tmp_path_factory.mktemp("scoring") / "model"), "cpu")


@pytest.fixture(scope="module")
def scoring(scorer: Scorer) -> Iterator[EndpointConfig]:
    """The real service in this process."""
    app = Scoring(scorer, card_of(scorer.told, scorer.low, scorer.high), TOKEN)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
        assert thread.is_alive()
    port = server.servers[0].sockets[0].getsockname()[1]
    address = f"http://127.0.0.1:{port}/v1"
    yield EndpointConfig("local", "chat", address, "reward", key=TOKEN, allow_private=True)
    server.should_exit = True
    thread.join(20)


def test_the_scoring_service_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scoring: EndpointConfig, scorer: Scorer
) -> None:
    """Its scores are the model's own, of two groups that come mixed; one picture that it does not take is missing."""
    source = loaded(monkeypatch, tmp_path, scoring, SERVICE)
    some = [*samples(), *samples(OTHER, "b", 2)]
    some[4] = replace(some[4], picture=Image.new("RGB", (48, 80)))
    found = source.judge(some)
    assert [one is None for one in found] == [False] * 4 + [True, False]
    assert sum(source.take_reasons().values()) == 1
    pictures = tuple(one.picture for one in some[:3])
    (own,) = scorer.score([Example("a", PAIR.edit.instruction, some[0].case.source, pictures)])
    assert [one.mu for one in found[:3]] == pytest.approx([one.mu["alignment"] for one in own], abs=1e-3)
    assert [one.sigma for one in found[:3]] == pytest.approx([one.sigma["alignment"] for one in own], abs=1e-3)
    assert (found[0].low, found[0].high) == (1.0, 5.0)
    source.close()


def test_a_held_out_service_with_the_trained_model_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scoring: EndpointConfig, scorer: Scorer
) -> None:
    """Only the service itself says which model it has."""
    source, truth = loaded(monkeypatch, tmp_path, scoring, SERVICE), TruthSource()
    with pytest.raises(JobError, match="the same model as “mine”"):
        refuse_same([truth, RewardSource("mine", scorer, "overall")], [truth, source])
    refuse_same([truth], [truth, source])
    refuse_same([truth, source], [truth])


@pytest.mark.parametrize(
    ("changes", "endpoint", "words"),
    [
        ({"dimension": "mood"}, {}, "no dimension 'mood', only: overall, alignment"),
        ({"fingerprint": "0" * 64}, {}, "another model than the one that was chosen"),
        ({}, {"key": "wrong"}, "does not accept the key"),
        ({}, {"key": "wröng"}, "no key has"),
        ({}, {"base_url": "http://127.0.0.1:1/v1"}, "cannot be reached"),
        ({}, {"base_url": "file:///etc/passwd"}, "no address that starts with"),
        ({}, {"kind": "images"}, "of the kind images"),
    ],
)
def test_a_scoring_service_that_cannot_be_used_is_refused_at_the_start(
    changes: Any,
    endpoint: Any,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    scoring: EndpointConfig,
) -> None:
    spec = {**SERVICE, "settings": {**SERVICE["settings"], **changes}}
    with pytest.raises(JobError, match=words):
        loaded(monkeypatch, tmp_path, replace(scoring, **endpoint), spec)


CARD = {
    "dimensions": [{"key": "alignment", "low": 1, "high": 5}],
    "scale": [1, 5],
    "fingerprint": "f" * 64,
}
GOOD = {"overall": 3.0, "overall_sigma": 0.5, "mu": {"alignment": 4.0}, "sigma": {"alignment": 0.25}}


def answer(*candidates: Any, model: str = "f" * 64) -> Reply:
    return Reply(value={"model": model, "items": [{"candidates": list(candidates)}]})


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[Any, Service]]:
    """A source whose service answers what a test puts into its script."""
    with running(lambda asked: Reply(value=CARD)) as service:
        yield loaded(monkeypatch, tmp_path, service.endpoint(), SERVICE), service


def test_what_is_not_json_objects_of_ours_is_no_scoring_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with running() as service, pytest.raises(JobError, match="no scoring service"):
        loaded(monkeypatch, tmp_path, service.endpoint(), SERVICE)


@pytest.mark.parametrize(
    ("reply", "missing", "words"),
    [
        (answer(GOOD, GOOD, GOOD), [], ""),
        (answer(GOOD, {"error": "Too small."}, GOOD), [1], "Too small."),
        (answer(GOOD, {**GOOD, "mu": {"alignment": float("nan")}}, GOOD), [1], "no finite number"),
        (answer(GOOD, {**GOOD, "mu": {"alignment": "4"}}, GOOD), [1], "no finite number"),
        (answer(GOOD, {**GOOD, "sigma": {}}, GOOD), [1], "cannot be read"),
        (answer(GOOD, 4, GOOD), [1], "cannot be read"),
        (answer(GOOD, GOOD), [0, 1, 2], "did not answer each candidate"),
        (answer(GOOD, GOOD, GOOD, model="0" * 64), [0, 1, 2], "another model now"),
        (Reply(value={"model": "f" * 64, "items": 3}), [0, 1, 2], "did not answer each candidate"),
        (Reply(body=b"\x80\x04pickled"), [0, 1, 2], "no JSON object"),
        (error(422, "items[0] is wrong"), [0, 1, 2], "does not accept the request"),
        (error(302, Location="http://169.254.169.254/"), [0, 1, 2], "do not follow"),
    ],
)
def test_each_answer_is_read_strictly(reply: Reply, missing: list[int], words: str, faked: tuple[Any, Service]) -> None:
    source, service = faked
    service.script = [reply]
    found = mus(source)
    assert found == [None if place in missing else 4.0 for place in range(3)]
    assert sum(source.take_reasons().values()) == len(missing) if not words else True
    service.script = [answer(GOOD, GOOD, GOOD)]
    assert mus(source) == [4.0] * 3  # the next call is as if nothing had been


def test_why_it_is_missing_is_told(faked: tuple[Any, Service]) -> None:
    source, service = faked
    service.script = [answer(GOOD, {"error": "Too small."}, 4)]
    mus(source)
    told = source.take_reasons()
    assert told == {"Too small.": 1, "The scoring service's answer for a candidate cannot be read.": 1}


def test_a_scoring_service_that_is_down_is_asked_once_a_call(faked: tuple[Any, Service], monkeypatch: Any) -> None:
    source, service = faked
    monkeypatch.setattr(module, "AT_ONCE", 2)  # three requests for these samples
    service.script = [error(503)] * 4
    assert mus(source, [*samples(), *samples(OTHER, "b", 2)]) == [None] * 6
    assert len(service.asked) == 1 + 4  # what it is, and one request with its tries
    ((reason, count),) = source.take_reasons().items()
    assert count == 6 and "in trouble" in reason


def test_a_large_group_is_divided_and_put_together_again(faked: tuple[Any, Service], monkeypatch: Any) -> None:
    source, service = faked
    monkeypatch.setattr(module, "AT_ONCE", 4)

    def numbered(asked: Asked) -> Reply:
        sizes = [len(item["candidates"]) for item in asked.value["items"]]
        rows = [{"candidates": [{**GOOD, "mu": {"alignment": 1.0 + len(sizes)}}] * size} for size in sizes]
        return Reply(value={"model": "f" * 64, "items": rows})

    service.usual = numbered
    some = [*samples(), *samples(OTHER, "b", 2)]
    assert mus(source, some) == [3.0, 3.0, 3.0, 3.0, 2.0, 2.0]  # one of the second group fits into the first request
    assert [len(item["candidates"]) for asked in service.asked[1:] for item in asked.value["items"]] == [3, 1, 2]
    assert "pickle" not in service.asked[1].headers["content-type"]


def test_after_a_stop_the_scoring_service_is_not_asked(faked: tuple[Any, Service]) -> None:
    source, service = faked
    source.stop()
    assert mus(source) == [None] * 3 and len(service.asked) == 1
    assert source.take_reasons() == {waiting.STOPPED: 3}
    source.close()
