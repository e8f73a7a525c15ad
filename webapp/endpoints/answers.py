"""What OpenAI-compatible services answer, read strictly: another shape is an error, never a guess. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from webapp.endpoints.errors import (
    AddressRefused,
    BadAnswer,
    BadRequest,
    EndpointError,
    NoSuchModel,
    OverQuota,
    Refused,
    ServerTrouble,
    WrongKey,
)
from webapp.endpoints.transport import Answer

if TYPE_CHECKING:
    from webapp.endpoints.http import EndpointConfig

REFUSAL = re.compile(r"content[ _-]?(policy|filter)|moderation|safety[ _-](system|violation)", re.IGNORECASE)
USED_UP = re.compile(r"insufficient_quota|billing_hard_limit", re.IGNORECASE)
SHOWN = 300  # characters of a service's own words


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """``model`` is the id that the service answered with; ``logprobs`` is the choice's own object, where there is one;
    ``finish`` is "stop", or "length" for an answer that was cut off."""

    text: str
    model: str
    finish: str
    logprobs: Mapping[str, Any] | None
    tokens_in: int | None
    tokens_out: int | None
    cost: float | None
    seconds: float
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ImagesAnswer:
    images: tuple[bytes, ...] = field(repr=False)
    model: str
    tokens_in: int | None
    tokens_out: int | None
    cost: float | None
    seconds: float


def tokens(answer: ChatAnswer | ImagesAnswer) -> tuple[int, int]:
    return answer.tokens_in or 0, answer.tokens_out or 0


def read_body(answer: Answer, endpoint: EndpointConfig) -> dict[str, Any]:
    """The JSON object of a good answer. Raises the EndpointError that fits any other one."""
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        body = None
    if not 200 <= answer.status < 300:
        raise _failure(answer, body, endpoint)
    if not isinstance(body, dict):
        raise BadAnswer(
            "The address answers, but not as an OpenAI-compatible service does: no JSON object. "
            "Check the base address; most end in /v1."
        )
    return body


def _failure(answer: Answer, body: Any, endpoint: EndpointConfig) -> EndpointError:
    status, (words, code) = answer.status, _words(body, endpoint.key)
    said = f" The service says: “{words}”" if words else ""
    if 300 <= status < 400:
        place = _plain(answer.headers.get("Location", "elsewhere"), endpoint.key)
        return AddressRefused(f"The service sends us on to {place}, which we do not follow. Enter the final address.")
    if status >= 500 or status == 408:
        after = _seconds(answer.headers.get("Retry-After"))
        return ServerTrouble(f"The service is in trouble (status {status}).{said}", after=after)
    if status in (402, 429) or USED_UP.search(f"{code} {words}"):
        return _quota(answer, said, used_up=status != 429 or bool(USED_UP.search(f"{code} {words}")))
    return _refusal(status, said, endpoint, rules=bool(REFUSAL.search(f"{code} {words}")))


def _quota(answer: Answer, said: str, used_up: bool) -> OverQuota:
    if used_up:
        return OverQuota(f"The account at the service is used up (status {answer.status}).{said}")
    sentence = f"The service turns requests away: too many (status 429). Lower the limits of the endpoint.{said}"
    return OverQuota(sentence, after=_seconds(answer.headers.get("Retry-After")), retry=True)


def _refusal(status: int, said: str, endpoint: EndpointConfig, rules: bool) -> EndpointError:
    if rules:
        return Refused(f"The service refuses this for its content rules.{said}")
    if status in (401, 403):
        return WrongKey(f"The service does not accept the key (status {status}). Enter it again.{said}")
    if status == 404:
        return NoSuchModel(
            f"The service has no model “{endpoint.model}”, or nothing is at this address; most end in /v1.{said}"
        )
    return BadRequest(f"The service does not accept the request (status {status}).{said}")


def _words(body: Any, key: str) -> tuple[str, str]:
    """A service's own sentence and code, wherever it puts them."""
    if not isinstance(body, dict):
        return "", ""
    error = body.get("error", body)
    if not isinstance(error, dict):
        return _plain(str(error), key), ""
    text = error.get("message") or error.get("detail") or ""
    return _plain(str(text), key), f"{error.get('code')} {error.get('type')}"


def _plain(text: str, key: str) -> str:
    """One short line without the key: services quote what they were sent."""
    text = text.replace(key, "(key)") if key else text
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:SHOWN]


def _seconds(text: str | None) -> float | None:
    """Retry-After: seconds or a date."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def read_chat(body: Mapping[str, Any], endpoint: EndpointConfig, seconds: float) -> ChatAnswer:
    """Raises Refused where the model declines, BadAnswer for another shape: both with what they cost."""
    given = _usage(body, "prompt_tokens", "completion_tokens")
    cost = endpoint.cost(tokens_in=given[0], tokens_out=given[1])
    try:
        text, finish, logprobs = _choice(body, endpoint)
    except EndpointError as error:
        error.tokens_in, error.tokens_out, error.cost = given[0] or 0, given[1] or 0, cost
        raise
    return ChatAnswer(
        text=text,
        model=_model(body, endpoint),
        finish=finish,
        logprobs=logprobs,
        tokens_in=given[0],
        tokens_out=given[1],
        cost=cost,
        seconds=seconds,
        raw=body,
    )


def _choice(body: Mapping[str, Any], endpoint: EndpointConfig) -> tuple[str, str, Mapping[str, Any] | None]:
    """The first choice's text, why it ended, and the probabilities of its tokens."""
    try:
        choice = body["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason") or ""
        text = _text(message.get("content"))
    except (KeyError, IndexError, TypeError, AttributeError):
        raise BadAnswer("The service answered without a message: this is no OpenAI-compatible chat answer.") from None
    refusal = message.get("refusal")
    if refusal or finish == "content_filter":
        raise Refused(f"The model declines: “{_plain(str(refusal or 'content filter'), endpoint.key)}”")
    if text is None:
        raise BadAnswer("The service answered with an empty message.")
    logprobs = choice.get("logprobs")
    return text, str(finish), logprobs if isinstance(logprobs, dict) else None


def _text(content: Any) -> str | None:
    """A message's text: a string, or a list of parts with text."""
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if part.get("type") == "text")
    return content if isinstance(content, str) and content.strip() else None


def read_images(
    body: Mapping[str, Any],
    endpoint: EndpointConfig,
    seconds: float,
    picture: Callable[[Mapping[str, Any]], bytes],
) -> ImagesAnswer:
    """``picture`` gets the bytes of one entry. Raises BadAnswer for another shape."""
    rows = body.get("data")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise BadAnswer("The service answered without images: this is no OpenAI-compatible images answer.")
    given = _usage(body, "input_tokens", "output_tokens")
    return ImagesAnswer(
        images=tuple(picture(row) for row in rows),
        model=_model(body, endpoint),
        tokens_in=given[0],
        tokens_out=given[1],
        cost=endpoint.cost(tokens_in=given[0], tokens_out=given[1], images=len(rows)),
        seconds=seconds,
    )


def _model(body: Mapping[str, Any], endpoint: EndpointConfig) -> str:
    """The id that the service answered with; the one that was asked for where it names none."""
    model = body.get("model")
    return (_plain(model, endpoint.key)[:200] if isinstance(model, str) else "") or endpoint.model


def _usage(body: Mapping[str, Any], *names: str) -> list[int | None]:
    usage = body.get("usage")
    values = [usage.get(name) if isinstance(usage, dict) else None for name in names]
    return [value if isinstance(value, int) and value >= 0 else None for value in values]
