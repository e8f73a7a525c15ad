"""Text as word numbers, for instructions and questions alike. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from drawnworld.questions import FAMILIES
from drawnworld.wording import vocabulary

PAD, UNKNOWN = 0, 1
MOST_INSTRUCTION, MOST_QUESTION = 16, 28  # words that are read; what comes after is not
WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
SAME = {  # words that mean the same in a question about an edit, and what stands for them
    "image": "picture",
    "images": "pictures",
    "photo": "picture",
    "original": "source",
    "item": "object",
    "items": "objects",
    "desired": "requested",
    "specified": "requested",
    "correct": "right",
    "intact": "untouched",
    "modified": "changed",
    "remain": "stay",
    "remained": "stayed",
    "artifact": "artefact",
    "artifacts": "artefacts",
    "prompt": "instruction",
    "gray": "grey",
}


def split(text: str) -> list[str]:
    """The words in lower case, without punctuation, in American spelling, and one word for several of one meaning."""
    return [SAME.get(word, word) for word in WORD.findall(text.lower().replace("colour", "color").replace("’", "'"))]


def split_question(question: str, instruction: str) -> list[str]:
    """A question's words. Where it quotes the instruction, the word "instruction" stands for that."""
    quoted = instruction.strip()
    return split(re.sub(re.escape(quoted), "instruction", question, flags=re.IGNORECASE) if quoted else question)


@cache
def numbers() -> dict[str, int]:
    """The number of every word of instructions and of known wordings, from 2."""
    known = set(vocabulary())
    for family in FAMILIES.values():
        for wording in family.wordings:
            known |= set(split_question(wording.replace("{instruction}", "instruction"), ""))
    return {word: number for number, word in enumerate(sorted(known), start=UNKNOWN + 1)}


def token_count() -> int:
    return UNKNOWN + 1 + len(numbers())


def unknown_words(words: Sequence[str]) -> list[str]:
    return [word for word in words if word not in numbers()]


def encode(texts: Sequence[Sequence[str]], most: int) -> NDArray[np.int64]:
    """Words as numbers, (texts, words of the longest, ``most`` at most); shorter texts are filled with PAD. A text
    without words has one UNKNOWN."""
    longest = max((len(words) for words in texts), default=1)
    encoded = np.full((len(texts), min(max(longest, 1), most)), PAD, np.int64)
    for row, words in zip(encoded, texts, strict=True):
        known = [numbers().get(word, UNKNOWN) for word in words[:most]] or [UNKNOWN]
        row[: len(known)] = known
    return encoded
