"""The judge behind an endpoint, against a real HTTP server: whatever comes has its status, and nothing is guessed."""

import base64
import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scoring.judging.contract import JudgeError, Reply, Request, Status
from scoring.judging.endpoint import EndpointJudge, Settings
from scoring.judging.pictures import PictureError, Pictures, encoded
from tests.endpoints.service import Reply as Answer
from tests.endpoints.service import Service, error, running
from tests.scoring.make import A, B, answer, pictures, request, said, tokens
from webapp.jobs.folder import JobStopped

PRICES = {"price_input": 2.0, "price_output": 10.0}
COST = 100 * 2e-6 + 20 * 10e-6  # of one answer of the server


@pytest.fixture
def service() -> Iterator[Service]:
    with running(lambda asked: answer(said(4))) as made:
        yield made


@pytest.fixture
def asked(tmp_path: Path) -> Request:
    return request("k", *pictures(tmp_path))


def judge(service: Service, settings: dict[str, Any] | None = None, **endpoint: Any) -> EndpointJudge:
    made = EndpointJudge(service.endpoint(**{**PRICES, **endpoint}), settings or {})
    made.client.wait = made.client._pace.wait = lambda seconds: (
        None
    )  # the service's pauses are not waited for, requests are real
    return made


def one(made: EndpointJudge, asked: Request) -> Reply:
    (reply,) = made.judge([asked])
    return reply


def test_it_works(service: Service, asked: Request) -> None:
    reply = one(judge(service), asked)
    assert (reply.status, reply.score, reply.distribution, reply.kind, reply.note) == (Status.PARSED, 4.0, None, "", "")
    assert [(each.question, each.answer) for each in reply.answers] == [("colour", "yes"), ("shape", "no")]
    assert (reply.model, reply.raw, reply.sent) == ("answering-model-1", said(4), True)
    assert (reply.tokens_in, reply.tokens_out, reply.cost) == (100, 20, pytest.approx(COST))
    assert reply.seconds > 0
    (sent,) = service.asked
    assert sent.value["temperature"] == 0.0
    assert sent.value["max_tokens"] == 1500
    assert sent.value["response_format"] == {"type": "json_object"}
    assert "logprobs" not in sent.value
    json.dumps(reply.to_json())


def test_both_pictures_arrive_in_order(service: Service, asked: Request) -> None:
    one(judge(service), asked)
    text, *shown = service.asked[0].value["messages"][0]["content"]
    assert text == {"type": "text", "text": "Prompt of k"}
    assert len(shown) == 2
    for part, colour in zip(shown, (A, B), strict=True):
        head, _, data = part["image_url"]["url"].partition(",")
        assert head == "data:image/png;base64"
        assert Image.open(io.BytesIO(base64.b64decode(data))).getpixel((3, 3)) == colour


def test_the_score_is_the_mean_of_digits_where_the_service_gives_them(service: Service, asked: Request) -> None:
    service.script.append(answer(said(4), logprobs=tokens(said(4), "4", {"4": 0.6, "3": 0.3, "x": 0.1})))
    made = judge(service, {"logprobs": True})
    reply = one(made, asked)
    assert service.asked[0].value["logprobs"] is True
    assert service.asked[0].value["top_logprobs"] == 10
    assert reply.score == pytest.approx((4 * 0.6 + 3 * 0.3) / 0.9)
    assert reply.distribution is not None
    assert reply.distribution["3"] == pytest.approx(1 / 3)
    plain = one(made, asked)
    assert (plain.score, plain.distribution) == (4.0, None), "no probabilities came: the written number"


def test_a_service_without_probabilities_is_asked_without_once_for_all(service: Service, asked: Request) -> None:
    service.script.append(error(400, "top_logprobs is not supported by this model"))
    made = judge(service, {"logprobs": True})
    assert one(made, asked).score == 4.0
    assert one(made, asked).score == 4.0
    assert ["logprobs" in sent.value for sent in service.asked] == [True, False, False]


def test_a_setting_of_null_is_not_sent(service: Service, asked: Request) -> None:
    one(judge(service, {"temperature": None, "max_tokens": None}), asked)
    assert not {"temperature", "max_tokens"} & set(service.asked[0].value)


CANNOT = said(None, "cannot judge", "cannot judge")
NO_USAGE = Answer(value={"choices": [{"message": {"content": said(4)}, "finish_reason": "stop"}]})
ONCE: list[tuple[Answer, Status, str, str]] = [
    (answer(f"Well:\n```json\n{said(4)}\n```"), Status.PARSED, "", ""),
    (answer(said("4")), Status.REPAIRED, "", ""),
    (answer(said(4)[:-1] + ",}"), Status.REPAIRED, "", ""),
    (answer(CANNOT), Status.REFUSED, "cannot judge", "says that it cannot judge"),
    (answer("", refusal="I will not look at that."), Status.REFUSED, "refused", "I will not look"),
    (answer("x", finish="content_filter"), Status.FILTERED, "refused", "content filter"),
    (error(400, "no", "content_policy_violation"), Status.FILTERED, "refused", "content rules"),
    (error(403, "Blocked by our content filter"), Status.FILTERED, "refused", "content filter"),
    (answer(said(4)[:50], finish="length"), Status.FAILED, "cut off", "max_tokens"),
    (answer(said(4), finish="length"), Status.FAILED, "cut off", "max_tokens"),
    (error(400, "the picture is too large"), Status.FAILED, "request", "too large"),
    (error(422), Status.FAILED, "request", "422"),
    (error(429, "tomorrow", Retry_After="86400"), Status.FAILED, "quota", "tomorrow"),
    (Answer(body=b"<!doctype html>"), Status.FAILED, "answer", "OpenAI-compatible"),
    (Answer(body=b"[" * 100_000), Status.FAILED, "answer", "OpenAI-compatible"),
    (Answer(value={"choices": []}), Status.FAILED, "answer", "without a message"),
    (answer("  "), Status.FAILED, "answer", "empty"),
]


@pytest.mark.parametrize(("came", "status", "kind", "words"), ONCE)
def test_every_answer_has_its_status(
    service: Service, asked: Request, came: Answer, status: Status, kind: str, words: str
) -> None:
    service.script.append(came)
    reply = one(judge(service), asked)
    assert (reply.status, reply.kind, reply.sent) == (status, kind, True)
    assert words in reply.note
    assert (reply.score is None) == (status not in (Status.PARSED, Status.REPAIRED))
    assert len(service.asked) == 1, "not asked again"


UNREADABLE = [
    "It is good, I give it a 4.",
    "I'm sorry, I can't help with that.",
    said(4)[:60],
    said(7),
    said(-1),
    said(True),
    said("four"),
    said([4]),
    said(0).replace('"score": 0', '"score": NaN'),
    said(0).replace('"score": 0', '"score": 3 or 4'),
    "{}",
    "4",
    "[" * 90_000,
    "x" * 200_000,
]


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_cannot_be_read_is_asked_for_again_and_paid(service: Service, asked: Request, text: str) -> None:
    service.script += [answer(text), answer(text)]
    reply = one(judge(service), asked)
    assert (reply.status, reply.score) == (Status.PARSED, 4.0)
    assert len(service.asked) == 3
    assert (reply.tokens_in, reply.tokens_out, reply.cost) == (300, 60, pytest.approx(3 * COST))


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_stays_unreadable_is_failed_and_never_guessed(service: Service, asked: Request, text: str) -> None:
    service.usual = lambda asked: answer(text)
    reply = one(judge(service, {"tries": 1}), asked)
    assert (reply.status, reply.score, reply.kind) == (Status.FAILED, None, "unreadable")
    assert "2 tries" in reply.note
    assert len(service.asked) == 2
    assert reply.cost == pytest.approx(2 * COST)
    assert len(reply.raw) <= 20_000
    assert one(judge(service, {"tries": 0}), asked).note.startswith("The answer cannot be used:")
    assert len(service.asked) == 3


@pytest.mark.parametrize("trouble", [error(500), error(502), error(429, Retry_After="3"), Answer(drop=True)])
def test_trouble_that_passes(service: Service, asked: Request, trouble: Answer) -> None:
    service.script += [trouble] * 3
    reply = one(judge(service), asked)
    assert (reply.score, reply.cost) == (4.0, pytest.approx(COST))
    assert len(service.asked) == 4


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [(error(500, "out of order"), "server"), (error(429), "quota"), (Answer(drop=True), "no answer")],
)
def test_trouble_that_stays(service: Service, asked: Request, trouble: Answer, kind: str) -> None:
    service.usual = lambda asked: trouble
    reply = one(judge(service), asked)
    assert (reply.status, reply.kind, reply.cost, reply.sent) == (Status.FAILED, kind, 0.0, True)
    assert len(service.asked) == 4


def test_an_answer_that_comes_too_late(service: Service, asked: Request) -> None:
    service.usual = lambda asked: Answer(value={}, pause=1.5)
    made = judge(service, {"seconds": 1})
    made.client.tries = 1
    reply = one(made, asked)
    assert (reply.status, reply.kind, reply.sent) == (Status.FAILED, "no answer", True)
    assert reply.seconds >= 1


def test_a_service_that_is_not_there(service: Service, asked: Request) -> None:
    made = judge(service, base_url="http://127.0.0.1:1/v1")
    reply = one(made, asked)
    assert (reply.status, reply.kind, reply.sent, reply.cost) == (Status.FAILED, "no answer", False, 0.0)


FATAL = [
    (error(401, "Incorrect API key"), "key"),
    (error(404, "no such model", "model_not_found"), "asked-model"),
    (error(429, "quota", "insufficient_quota"), "used up"),
    (error(402), "used up"),
    (Answer(302, {}, {"Location": "https://elsewhere.example/"}), "elsewhere"),
]


@pytest.mark.parametrize(("came", "words"), FATAL)
def test_what_would_fail_again_ends_the_job(service: Service, asked: Request, came: Answer, words: str) -> None:
    service.script.append(came)
    with pytest.raises(JudgeError, match=words):
        one(judge(service), asked)
    assert len(service.asked) == 1


def test_what_was_paid_before_the_end_is_told(service: Service, asked: Request) -> None:
    service.script += [answer("a word"), error(401), error(401)]
    made = judge(service)
    reply = one(made, asked)
    assert (reply.status, reply.kind, reply.cost) == (Status.FAILED, "key", pytest.approx(COST))
    with pytest.raises(JudgeError):
        one(made, asked)


def test_a_private_address_is_refused(service: Service, asked: Request) -> None:
    with pytest.raises(JudgeError, match="refused"):
        one(judge(service, allow_private=False), asked)
    assert service.asked == []


def test_a_refusal_costs_what_it_costs(service: Service, asked: Request) -> None:
    service.script.append(answer("", refusal="No."))
    reply = one(judge(service), asked)
    assert (reply.tokens_in, reply.tokens_out, reply.cost) == (100, 20, pytest.approx(COST))


def test_a_cost_that_is_not_known_stays_unknown(service: Service, asked: Request) -> None:
    assert one(judge(service, price_input=None), asked).cost is None
    service.script.append(NO_USAGE)
    reply = one(judge(service), asked)
    assert (reply.score, reply.cost, reply.tokens_in) == (4.0, None, 0)
    service.script += [Answer(value={"choices": [{"message": {"content": "a word"}}]})]
    assert one(judge(service), asked).cost is None, "one try of two is not known"


def test_a_picture_that_cannot_be_read_is_not_sent(service: Service, asked: Request, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for file, words in (("gone.png", "does not exist"), ("text.png", "cannot be read")):
        reply = one(judge(service), request("k", asked.source, str(tmp_path / file)))
        assert (reply.status, reply.kind, reply.sent, reply.cost) == (Status.FAILED, "picture", False, 0.0)
        assert words in reply.note
    assert service.asked == []


def test_a_stop_ends_pauses_and_keeps_what_was_paid(service: Service, asked: Request) -> None:
    made = EndpointJudge(service.endpoint(**PRICES), {})

    def usual(asked: object) -> Answer:
        made.stop()
        return came.pop(0)

    service.usual, came = usual, [answer("a word"), answer("never")]
    reply = one(made, asked)
    assert (reply.status, reply.kind, reply.cost) == (Status.FAILED, "stopped", pytest.approx(COST))
    assert len(service.asked) == 1
    with pytest.raises(JobStopped):
        one(made, asked)
    assert len(service.asked) == 1, "nothing is sent after a stop"
    made, came = EndpointJudge(service.endpoint(**PRICES), {}), [error(500)]
    with pytest.raises(JobStopped):
        one(made, asked)
    assert len(service.asked) == 2, "it does not wait for the next try"


def test_it_asks_as_much_at_once_as_the_endpoint_allows_and_reads_pictures_meanwhile(
    service: Service, asked: Request
) -> None:
    gate = threading.Barrier(3, timeout=10)  # three must be there together, so at once is not one after the other

    def usual(_asked: object) -> Answer:
        gate.wait()
        return answer(said(4))

    service.usual = usual
    made = judge(service, concurrency=3)
    assert made.threads == 4
    with ThreadPoolExecutor(made.threads) as threads:
        replies = list(threads.map(lambda _: one(made, asked), range(12)))
    assert {reply.score for reply in replies} == {4.0}
    assert service.most_at_once == 3
    assert judge(service, concurrency=64).threads == 80
    assert judge(service, concurrency=1000).threads == 1016


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"heat": 1}, "Unknown settings: heat"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 10.5}, "whole number"),
        ({"tries": -1}, "tries"),
        ({"tries": None}, "tries"),
        ({"seconds": 0}, "seconds"),
        ({"logprobs": 5}, "logprobs"),
    ],
)
def test_settings_that_there_are_not(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(JudgeError, match=words):
        Settings.read(wrong)


def test_the_cache_key_s_settings_are_the_same_whether_written_or_not() -> None:
    assert Settings.read({}).answering() == Settings.read({"temperature": 0, "tries": 5, "seconds": 9}).answering()
    assert Settings.read({}).answering() != Settings.read({"temperature": 1}).answering()
    assert Settings.read({}).answering() != Settings.read({"logprobs": True}).answering()


def test_small_pictures_are_sent_exactly_and_large_ones_scaled(tmp_path: Path) -> None:
    noise = Image.effect_noise((256, 200), 90).convert("RGB")
    noise.save(tmp_path / "small.png")
    data, mime = encoded(tmp_path / "small.png")
    assert mime == "image/png"
    assert Image.open(io.BytesIO(data)).tobytes() == noise.tobytes()
    Image.effect_noise((257, 200), 90).save(tmp_path / "large.png")
    Image.effect_noise((3000, 1500), 90).save(tmp_path / "huge.png")
    for name, size in (("large.png", (257, 200)), ("huge.png", (1024, 512))):
        data, mime = encoded(tmp_path / name)
        assert mime == "image/jpeg"
        assert Image.open(io.BytesIO(data)).size == size


def test_pictures_are_read_once_and_not_all_kept(tmp_path: Path) -> None:
    source, edited = pictures(tmp_path)
    kept = Pictures()
    first = kept.get(source)
    Path(source).unlink()
    assert kept.get(source) == first
    small = Pictures(most=1)
    small.get(edited)
    pictures(tmp_path)
    small.get(source)
    Path(edited).unlink()
    with pytest.raises(PictureError):
        small.get(edited)
