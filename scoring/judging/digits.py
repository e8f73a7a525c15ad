"""A finer score from the probabilities of digits: their mean at the place where the answer writes its score. Pure.

A judge that hesitates between 3 and 4 writes one of them. The probabilities of the tokens tell how much it hesitated:
the expected value has fewer ties than the written number, for the price of one answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

LEAST_MASS = 0.5  # with less the digits are not what the model was about to write
SCORE_PLACE = re.compile(rb'"score"\s*:\s*"?(\d)(?![\d.eE])')
THINKING_END = b"</think>"


class Expected(NamedTuple):
    """``score``: the mean of ``distribution``, which has every digit of the scale and sums to 1. ``mass``: what the
    digits had of the whole probability before that."""

    score: float
    distribution: dict[str, float]
    mass: float


def expected_score(logprobs: object, low: int, high: int, written: float) -> Expected | None:
    """The expected score of an answer that writes the score ``written`` on the scale ``low``..``high``.

    ``logprobs``: a choice's own object in OpenAI's form: {"content": [{"token", "bytes", "logprob", "top_logprobs":
    [{"token", "bytes", "logprob"}]}]}. None where it cannot be done: a scale with numbers of two digits, a score that
    is no single token at one clear place, or digits with less than LEAST_MASS.
    """
    if not 0 <= low < high <= 9:
        return None
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    if not isinstance(content, list) or not all(isinstance(row, Mapping) for row in content):
        return None
    row = _score_token(content)
    if row is None or _digit(_bytes(row)) is None or float(_digit(_bytes(row)) or -1) != written:
        return None
    return _mean(row, low, high)


def _score_token(content: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The token that carries the score's digit; None unless the score stands at one place alone."""
    pieces = [_bytes(row) for row in content]
    text = b"".join(pieces)
    places = [found.start(1) for found in SCORE_PLACE.finditer(text, text.rfind(THINKING_END) + 1)]
    if len(places) != 1:
        return None
    end = 0
    for row, piece in zip(content, pieces, strict=True):
        end += len(piece)
        if end > places[0]:
            return row
    return None


def _bytes(row: Mapping[str, Any]) -> bytes:
    """A token's bytes: a character may be split between tokens, and its text then says less."""
    given = row.get("bytes")
    if isinstance(given, list) and all(type(value) is int and 0 <= value <= 255 for value in given):
        return bytes(given)
    token = row.get("token")
    return token.encode(errors="replace") if isinstance(token, str) else b""


def _digit(token: bytes) -> str | None:
    """The digit that a token is, but for white space around it."""
    text = token.strip()
    return text.decode() if len(text) == 1 and text.isdigit() else None


def _mean(row: Mapping[str, Any], low: int, high: int) -> Expected | None:
    masses = {str(digit): 0.0 for digit in range(low, high + 1)}
    for token, logprob in _likeliest(row):
        digit = _digit(token)
        if digit in masses:
            masses[digit] += math.exp(logprob)
    mass = math.fsum(masses.values())
    if not LEAST_MASS <= mass <= 1.01:  # a little over 1 is rounding, more is no probability
        return None
    distribution = {digit: value / mass for digit, value in masses.items()}
    return Expected(math.fsum(int(digit) * value for digit, value in distribution.items()), distribution, mass)


def _likeliest(row: Mapping[str, Any]) -> Iterator[tuple[bytes, float]]:
    """The tokens of that place with their logarithms of probability: the likeliest ones, and the one that was taken."""
    top = row.get("top_logprobs")
    rows = [entry for entry in top if isinstance(entry, Mapping)] if isinstance(top, list) else []
    if _bytes(row) not in {_bytes(entry) for entry in rows}:
        rows.append(row)
    for entry in rows:
        logprob = entry.get("logprob")
        if isinstance(logprob, int | float) and not isinstance(logprob, bool) and logprob <= 0.01:  # not NaN
            yield _bytes(entry), float(logprob)
