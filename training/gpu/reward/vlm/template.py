"""What a reward model reads around the pictures, and how it becomes tokens. Text is ours; no torch here.

Only the template's own text may hold control tokens. What people wrote, the instruction and the dimensions' names, is
plain text whatever it looks like.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Both stand in every checkpoint: a model reads what it was trained on, whatever these become.
RUBRIC = (
    "You judge how well a picture was edited. You see a source picture, an instruction that says what to change, and "
    "one edited picture. Compare the edited picture with the source, region by region. Look first at what was asked: "
    "was it done, was it done fully, and in the right place? Then at what was not asked: people, objects, writing, "
    "background, light and style should be as they were. Then at the edited picture alone: broken shapes, seams, "
    "blur, noise and impossible shadows are faults. To be different is no merit, and a picture in which nothing "
    "changed has not followed its instruction. Give one verdict in each of these respects, each for itself: {names}. "
    "A verdict is bad, poor, fair, good or excellent."
)
PREFIX = (
    "<|im_start|>system\n{rubric}<|im_end|>\n<|im_start|>user\nThe source picture: {picture}\n"
    "The instruction: {instruction}\n"
)
SUFFIX = "The edited picture: {picture}<|im_end|>\n<|im_start|>assistant\n{rewards}"
LEVEL_WORDS = ("bad", "poor", "fair", "good", "excellent")
SLOT = re.compile(r"(\{[a-z]+\})")
CONTROL = re.compile(r"<\|[a-z_]+\|>")


class WrongTokens(Exception):
    """The tokenizer cannot be used. The message completes "The tokenizer of NAME "."""


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens in a row. ``grid``: rows and columns, where they are a picture with positions in two directions."""

    ids: tuple[int, ...]
    grid: tuple[int, int] | None = None


def rubric(dimensions: Sequence[str]) -> str:
    return RUBRIC.format(names=", ".join(words_of(key) for key in dimensions))


def words_of(key: str) -> str:
    return re.sub(r"[\W_]+", " ", key).strip() or "overall"


def reward_tokens(dimensions: Sequence[str]) -> tuple[str, ...]:
    """The names of the new tokens: one a dimension."""
    return tuple(f"<|reward:{key}|>" for key in dimensions)


def spans(tokenizer: Any, template: str, slots: Mapping[str, Sequence[Span] | str]) -> list[Span]:
    """The template as tokens. A slot that is a text is plain text; the template's own text may hold control tokens."""
    found: list[Span] = []
    for piece in filter(None, SLOT.split(template)):
        value = slots.get(piece[1:-1]) if SLOT.fullmatch(piece) else None
        if value is None:
            found.append(Span(tuple(tokenizer.encode(piece, add_special_tokens=False))))
        elif isinstance(value, str):
            found.append(Span(tuple(plain(tokenizer, value))))
        else:
            found += value
    return [span for span in found if span.ids]


def plain(tokenizer: Any, text: str) -> list[int]:
    """Tokens of a text in which no control token counts as one."""
    ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return ids


def level_ids(tokenizer: Any, words: Sequence[str] = LEVEL_WORDS) -> tuple[int, ...]:
    """The first token of each word of the five levels. Raises WrongTokens where two words begin alike."""
    ids = tuple(tokenizer.encode(word, add_special_tokens=False)[0] for word in words)
    if len(set(ids)) < len(ids):
        raise WrongTokens(f"begins two of the words {', '.join(words)} with the same token, so levels cannot be read.")
    return ids


def add_tokens(tokenizer: Any, tokens: Sequence[str]) -> tuple[int, ...]:
    """The numbers of the new tokens, in order. Raises WrongTokens where control tokens are missing, or are read in
    plain text too."""
    tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)}, replace_extra_special_tokens=False)
    controls = {*CONTROL.findall(PREFIX + SUFFIX), *tokens}
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in controls}
    known = tokenizer.get_vocab()
    if missing := sorted(token for token in controls if token not in known):
        raise WrongTokens(f"has no {', '.join(missing)}, which the template is made of.")
    if set(plain(tokenizer, "".join(sorted(controls)))) & set(ids.values()):
        raise WrongTokens("reads control tokens in plain text: an instruction could end its message.")
    return tuple(ids[token] for token in tokens)
