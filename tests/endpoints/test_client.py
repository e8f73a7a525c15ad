"""The client: answers read strictly, tries again where that helps, limits kept, usage counted, the key kept."""

import base64
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image

from tests.endpoints.service import KEY, Reply, Service, chat, edited, error, png, running
from webapp.endpoints import errors
from webapp.endpoints.http import (
    VARIABLE,
    Client,
    EndpointConfig,
    endpoint_named,
    endpoints_from_environment,
    to_environment,
    user_message,
)
from webapp.endpoints.pace import Pace

HELLO = [user_message("Hello?")]
PICTURE = png(Image.new("RGB", (12, 8), "red"))


@pytest.fixture
def service() -> object:
    with running() as made:
        yield made


class Waits(list[float]):
    """Notes the pauses instead of sleeping."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def client(service: Service, waits: Waits | None = None, seconds: float = 5.0, **changes: Any) -> Client:
    return Client(service.endpoint(**changes), seconds=seconds, wait=Waits() if waits is None else waits)


def test_it_works(service: Service) -> None:
    with client(service, price_input=2.0, price_output=10.0) as made:
        answer = made.chat([user_message("What is this?", [(PICTURE, "image/png")])], temperature=0.5)
    assert (answer.text, answer.model, answer.finish) == ("Hello.", "answering-model-1", "stop")
    assert (answer.tokens_in, answer.tokens_out) == (100, 20)
    assert answer.cost == pytest.approx(100 * 2e-6 + 20 * 10e-6)
    (asked,) = service.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.value["model"] == "asked-model"
    assert asked.value["temperature"] == 0.5
    text, picture = asked.value["messages"][0]["content"]
    assert text == {"type": "text", "text": "What is this?"}
    assert picture["image_url"]["url"] == "data:image/png;base64," + base64.b64encode(PICTURE).decode()
    used = made.usage.value()
    assert (used["answers"], used["tokens_in"], used["tokens_out"], used["unpriced"]) == (1, 100, 20, 0)
    assert used["cost"] == pytest.approx(answer.cost)
    assert 0 < used["mean_seconds"] <= used["slowest_seconds"]


def test_an_unknown_price_is_no_price(service: Service) -> None:
    made = client(service)
    assert made.chat(HELLO).cost is None
    assert made.usage.value()["unpriced"] == 1
    service.script.append(Reply(value={"choices": [{"message": {"content": "no usage"}}]}))
    answer = client(service, price_input=1.0, price_output=1.0).chat(HELLO)
    assert (answer.tokens_in, answer.cost, answer.model) == (None, None, "asked-model")


def test_probabilities_are_passed_through(service: Service) -> None:
    logprobs = {"content": [{"token": "4", "logprob": -0.1, "top_logprobs": []}]}
    choice = {"message": {"content": "4"}, "logprobs": logprobs, "finish_reason": "stop"}
    service.script.append(Reply(value={"choices": [choice]}))
    answer = client(service).chat(HELLO, logprobs=6)
    assert answer.logprobs == logprobs
    assert (service.asked[0].value["logprobs"], service.asked[0].value["top_logprobs"]) == (True, 6)
    assert client(service).chat(HELLO).logprobs is None
    assert "logprobs" not in service.asked[1].value


def test_a_service_without_json_answers_is_asked_without(service: Service) -> None:
    service.script.append(error(400, "Unsupported parameter: response_format"))
    made = client(service)
    assert made.chat(HELLO, as_json=True).text == "Hello."
    assert [("response_format" in asked.value) for asked in service.asked] == [True, False]
    made.chat(HELLO, as_json=True)
    assert "response_format" not in service.asked[2].value, "it is not asked twice"
    assert made.usage.value()["failures"] == {}


def test_429_then_an_answer(service: Service) -> None:
    service.script += [error(429, "slow down", Retry_After="7"), error(429)]
    waits = Waits()
    made = client(service, waits)
    assert made.chat(HELLO).text == "Hello."
    assert len(service.asked) == 3
    assert 7.0 in waits
    assert made.usage.value()["retries"] == 2
    assert made.usage.value()["failures"] == {}


def test_retry_after_may_be_a_date(service: Service) -> None:
    service.script.append(error(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"))
    assert client(service).chat(HELLO).text == "Hello."


@pytest.mark.parametrize("trouble", [error(500), error(502), error(503, Retry_After="soon"), Reply(drop=True)])
def test_trouble_that_passes(service: Service, trouble: Reply) -> None:
    service.script += [trouble] * 3
    waits = Waits()
    assert client(service, waits).chat(HELLO).text == "Hello."
    assert len(waits) == 3
    assert 0.5 <= waits[0] <= 1.5
    assert 2.0 <= waits[2] <= 6.0


def test_trouble_that_stays(service: Service) -> None:
    service.script += [error(500, "out of order")] * 9
    made = client(service)
    with pytest.raises(errors.ServerTrouble, match="out of order"):
        made.chat(HELLO)
    assert len(service.asked) == 4
    assert made.usage.value()["failures"] == {"server": 1}


def test_a_slow_service(service: Service) -> None:
    service.usual = lambda asked: Reply(value={}, pause=0.6)
    made = client(service, seconds=0.2)
    with pytest.raises(errors.NoAnswer, match=r"within 0\.2 seconds"):
        made.chat(HELLO)
    assert made.usage.value()["failures"] == {"no answer": 1}


REFUSALS = [
    (error(401, "Incorrect API key"), errors.WrongKey, "key"),
    (error(403, "no"), errors.WrongKey, "key"),
    (error(404, "The model `x` does not exist", "model_not_found"), errors.NoSuchModel, "asked-model"),
    (error(429, "quota", "insufficient_quota"), errors.OverQuota, "used up"),
    (error(402), errors.OverQuota, "used up"),
    (error(429, "tomorrow", Retry_After="86400"), errors.OverQuota, "tomorrow"),
    (error(400, "bad size"), errors.BadRequest, "bad size"),
    (error(422), errors.BadRequest, "422"),
    (error(400, "no", "content_policy_violation"), errors.Refused, "content rules"),
    (error(403, "Blocked by our content filter"), errors.Refused, "content filter"),
    (Reply(302, {}, {"Location": "https://elsewhere.example/"}), errors.AddressRefused, r"elsewhere\.example"),
    (Reply(400, {"detail": "from another kind of server"}), errors.BadRequest, "from another kind"),
    (Reply(400, {"error": "a bare sentence"}), errors.BadRequest, "a bare sentence"),
    (Reply(400, body=b"<html>"), errors.BadRequest, "400"),
    (Reply(body=b"<!doctype html><p>Welcome"), errors.BadAnswer, "OpenAI-compatible"),
    (Reply(body=b"[" * 100_000), errors.BadAnswer, "OpenAI-compatible"),
    (Reply(value=["a list"]), errors.BadAnswer, "OpenAI-compatible"),
    (Reply(value={}), errors.BadAnswer, "without a message"),
    (Reply(value={"choices": []}), errors.BadAnswer, "without a message"),
    (Reply(value={"choices": "none"}), errors.BadAnswer, "without a message"),
    (Reply(value={"choices": [{"message": {"content": "  "}}]}), errors.BadAnswer, "empty"),
    (Reply(value={"choices": [{"message": {"content": 7}}]}), errors.BadAnswer, "empty"),
    (Reply(value={"choices": [{"message": {"content": None, "refusal": "I will not"}}]}), errors.Refused, "I will not"),
    (
        Reply(value={"choices": [{"message": {"content": "x"}, "finish_reason": "content_filter"}]}),
        errors.Refused,
        "content filter",
    ),
]


@pytest.mark.parametrize(("reply", "kind", "words"), REFUSALS)
def test_refusals_in_words_and_without_a_second_try(
    service: Service, reply: Reply, kind: type[errors.EndpointError], words: str
) -> None:
    service.script += [reply]
    made = client(service)
    with pytest.raises(kind, match=words):
        made.chat(HELLO)
    assert len(service.asked) == 1
    assert made.usage.value()["failures"] == {kind.kind: 1}


def test_an_answer_that_is_no_use_says_what_it_cost(service: Service) -> None:
    useless = [{"content": None, "refusal": "I will not"}, {"content": ""}]
    for message in useless:
        service.script.append(chat())
        service.script[0].value["choices"][0]["message"] = message
        with pytest.raises(errors.EndpointError) as caught:
            client(service, price_input=2.0, price_output=10.0).chat(HELLO)
        assert (caught.value.tokens_in, caught.value.tokens_out) == (100, 20)
        assert caught.value.cost == pytest.approx(100 * 2e-6 + 20 * 10e-6)
    service.script.append(Reply(value={"choices": [{"message": {"content": None, "refusal": "I will not"}}]}))
    with pytest.raises(errors.Refused) as caught:
        client(service, price_input=2.0, price_output=10.0).chat(HELLO)
    assert caught.value.cost is None, "the service does not say what it used"
    service.script.append(error(400, "no", "content_policy_violation"))
    with pytest.raises(errors.Refused) as caught:
        client(service).chat(HELLO)
    assert caught.value.cost == 0.0, "a status of refusal is not billed"


def test_whether_anything_was_sent(service: Service) -> None:
    service.script += [Reply(drop=True)] * 4
    with pytest.raises(errors.NoAnswer) as caught:
        client(service).chat(HELLO)
    assert not isinstance(caught.value, errors.NotReached)
    with pytest.raises(errors.NotReached, match="cannot be reached"):
        client(service, base_url="http://127.0.0.1:1/v1").chat(HELLO)


def test_text_in_parts_is_text(service: Service) -> None:
    parts = [{"type": "text", "text": "one "}, {"type": "thinking", "thinking": "…"}, {"type": "text", "text": "two"}]
    service.script.append(Reply(value={"choices": [{"message": {"content": parts}}]}))
    assert client(service).chat(HELLO).text == "one two"


def test_a_private_address_is_refused(service: Service) -> None:
    made = client(service, allow_private=False)
    with pytest.raises(errors.AddressRefused):
        made.chat(HELLO)
    assert service.asked == []


def test_so_many_at_once_and_no_more(service: Service) -> None:
    gate = threading.Barrier(3, timeout=10)  # three must be there together, so at once is not one after the other

    def usual(asked: object) -> Reply:
        gate.wait()
        return chat()

    service.usual = usual
    made = Client(service.endpoint(concurrency=3), seconds=20)
    with ThreadPoolExecutor(9) as threads:
        list(threads.map(lambda _: made.chat(HELLO), range(9)))
    assert service.most_at_once == 3
    assert made.usage.value()["answers"] == 9


def test_so_many_a_minute() -> None:
    now, starts = [0.0], []

    def wait(seconds: float) -> None:
        now[0] += seconds

    pace = Pace(120, wait, lambda: now[0])
    for _ in range(4):
        pace.turn()
        starts.append(now[0])
    assert starts == [0.0, 0.5, 1.0, 1.5]
    pace.hold(10)
    pace.turn()
    assert now[0] == pytest.approx(11.5)


def test_a_stop_ends_the_waiting(service: Service) -> None:
    class Stop(Exception):
        pass

    def wait(seconds: float) -> None:
        raise Stop

    service.script.append(error(500))
    with pytest.raises(Stop):
        Client(service.endpoint(), wait=wait).chat(HELLO)
    assert len(service.asked) == 1


# Images ---------------------------------------------------------------------------------------------------------------


def test_an_image_is_edited() -> None:
    with running(edited) as service:
        made = client(service, kind="images", price_image=0.04)
        answer = made.edit_image(image=PICTURE, prompt="Invert it", mask=PICTURE, parameters={"size": "auto"})
        (asked,) = service.asked
    assert len(answer.images) == 1
    assert answer.cost == 0.04
    assert made.usage.value()["images"] == 1
    assert asked.path == "/v1/images/edits"
    parts = asked.parts()
    assert (parts["image"], parts["mask"]) == (PICTURE, PICTURE)
    words = {name: value.decode() for name, value in parts.items() if name not in ("image", "mask")}
    assert words == {"model": "asked-model", "prompt": "Invert it", "n": "1", "size": "auto"}


def test_an_image_is_fetched_from_where_the_service_put_it(service: Service) -> None:
    service.script += [
        Reply(value={"data": [{"url": f"{service.address}/file.png"}]}),
        error(503),
        Reply(body=PICTURE),
    ]
    assert client(service, kind="images").edit_image(image=PICTURE, prompt="x").images == (PICTURE,)
    post, first, second = service.asked
    assert (post.path, first.path, second.path) == ("/v1/images/edits", "/v1/file.png", "/v1/file.png")
    assert "authorization" not in second.headers, "the key is for the service alone"


def test_an_image_on_another_inner_machine_is_not_fetched(service: Service) -> None:
    """The setting opens private networks to endpoints of one's own, not to whatever a service names."""
    port = service.port
    hosts = ("localhost", "127.0.0.2", "10.0.0.1", "[::1]")
    service.usual = lambda asked: Reply(value={"data": [{"url": f"http://{hosts[len(service.asked) - 1]}:{port}/f"}]})
    for host in hosts:
        with pytest.raises(errors.BadAnswer, match="refused") as caught:
            client(service, kind="images").edit_image(image=PICTURE, prompt="x")
        assert "EDITLOOP_PRIVATE_ENDPOINTS" not in str(caught.value), host
    assert len(service.asked) == len(hosts), "nothing was fetched"


BAD_IMAGES = [
    (Reply(value={"data": []}), "without images"),
    (Reply(value={"data": ["x"]}), "without images"),
    (Reply(value={"data": [{}]}), "neither"),
    (Reply(value={"data": [{"b64_json": "%%%"}]}), "base64"),
    (Reply(value={"data": [{"url": "http://169.254.169.254/latest"}]}), "refused"),
    (Reply(value={"data": [{"url": "file:///etc/passwd"}]}), "http"),
]


@pytest.mark.parametrize(("reply", "words"), BAD_IMAGES)
def test_bad_image_answers(service: Service, reply: Reply, words: str) -> None:
    service.script.append(reply)
    with pytest.raises(errors.BadAnswer, match=words):
        client(service, kind="images").edit_image(image=PICTURE, prompt="x")
    assert len(service.asked) == 1


def test_an_edit_is_not_paid_twice_when_its_file_cannot_be_fetched(service: Service) -> None:
    service.script += [Reply(value={"data": [{"url": f"{service.address}/file.png"}]}), *[error(500)] * 9]
    with pytest.raises(errors.BadAnswer, match="could not be fetched"):
        client(service, kind="images").edit_image(image=PICTURE, prompt="x")
    assert [asked.path for asked in service.asked].count("/v1/images/edits") == 1


# The key --------------------------------------------------------------------------------------------------------------


def test_the_key_is_in_no_log_no_text_and_no_error(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made = client(service)
    made.chat(HELLO)
    service.script.append(error(401, f"Incorrect API key provided: {KEY}."))
    with pytest.raises(errors.WrongKey) as refusal:
        made.chat(HELLO)
    assert "(key)" in str(refusal.value)
    assert KEY not in str(refusal.value)
    assert KEY not in repr(service.endpoint())
    assert KEY not in caplog.text
    assert KEY not in repr(made.usage)


def test_endpoints_travel_by_the_environment(service: Service) -> None:
    endpoints = [service.endpoint(), service.endpoint(slug="pictures", kind="images", price_image=0.1)]
    environ = to_environment(endpoints)
    assert list(environ) == [VARIABLE]
    assert endpoints_from_environment(environ) == {one.slug: one for one in endpoints}
    assert endpoint_named("pictures", "images", environ) == endpoints[1]
    assert endpoints_from_environment({}) == {}


@pytest.mark.parametrize("text", ["{", "7", '[{"slug": "x"}]', '["x"]', "[7]"])
def test_a_broken_environment(text: str) -> None:
    with pytest.raises(errors.NotConfigured, match=VARIABLE):
        endpoints_from_environment({VARIABLE: text})


def test_an_endpoint_that_is_not_there_or_of_another_kind(service: Service) -> None:
    environ = to_environment([service.endpoint()])
    with pytest.raises(errors.NotConfigured, match="no endpoint “other”"):
        endpoint_named("other", "chat", environ)
    with pytest.raises(errors.NotConfigured, match="kind chat"):
        endpoint_named("local", "images", environ)


def test_a_service_without_a_key_is_asked_without_one(service: Service) -> None:
    client(service, key="").chat(HELLO)
    assert "authorization" not in service.asked[0].headers
    assert isinstance(service.endpoint(), EndpointConfig)


@pytest.mark.parametrize(
    "key", ["sk-SECRET\nxyz", "sk-SECRET\x7fxyz", "sk-SECRETé", "sk-SECRET\x00", "sk-SECRET\ud800"]
)
def test_a_key_that_no_request_can_carry_is_refused_and_not_shown(service: Service, key: str) -> None:
    with pytest.raises(errors.WrongKey, match="Enter it again") as refusal:
        client(service, key=key).chat(HELLO)
    assert "SECRET" not in str(refusal.value)
    assert service.asked == []


def test_the_model_s_name_can_be_stored_and_sent_on(service: Service) -> None:
    """PostgreSQL's JSON refuses a zero character, and UTF-8 half a surrogate pair; the answer is paid for."""
    service.script.append(chat(model="m\x00-\ud800 1"))
    assert client(service).chat(HELLO).model == "m - 1"
    service.script.append(chat(model=f"\x00{KEY}"))
    assert client(service).chat(HELLO).model == "(key)"
    service.script.append(chat(model="\x00\ud800"))
    assert client(service).chat(HELLO).model == "asked-model"
