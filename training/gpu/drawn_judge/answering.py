"""A trained network's answers to questions about one edit, and when it declines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from drawnworld.edits import TASKS
from drawnworld.families import IMPRESSION
from drawnworld.questions import FAMILIES, SMALL_WORDS
from drawnworld.render import Image
from training.gpu.drawn_judge.data import KEYS
from training.gpu.drawn_judge.network import OTHER, DrawnJudge, to_tensor
from training.gpu.drawn_judge.words import (
    MOST_INSTRUCTION,
    MOST_QUESTION,
    encode,
    split,
    split_question,
    unknown_words,
)

MOST_UNKNOWN = 0.34  # share of unknown words among those that carry the meaning, above which a text is declined
SURE = 0.5  # probability of one family from which a question counts as understood
DENYING = frozenset(("no", "without", "free", "nothing", "none"))  # no question for a fault has one of these words
KEPT = 4096  # questions whose vectors are kept: a prompt asks the same ones about every edit


class CannotRead(Exception):
    """The instruction is not over the words of the drawn world. The message is for the user."""


@dataclass(frozen=True, slots=True)
class Understood:
    """A question by itself: its family, or why there is none."""

    family: str
    why_not: str
    vector: Tensor


@dataclass(frozen=True, slots=True)
class Answer:
    """``yes``: the probability, None where the judge declines and ``why_not`` says why. ``good``: the same with a fault
    turned round."""

    family: str
    yes: float | None
    why_not: str = ""

    @property
    def good(self) -> float | None:
        return None if self.yes is None else 1 - self.yes if FAMILIES[self.family].fault else self.yes


@dataclass(frozen=True, slots=True)
class Verdict:
    """``impression``: the answer to the question that every prompt implies. ``task``: read from the instruction."""

    impression: float
    task: str
    answers: tuple[Answer, ...]

    @property
    def mean(self) -> float:
        """The impression and every answer that was given, with equal weights: 0..1."""
        parts = [self.impression, *(answer.good for answer in self.answers if answer.good is not None)]
        return sum(parts) / len(parts)


class Answerer:
    """One edit at a time, so that an answer does not depend on what else is asked for in a batch."""

    def __init__(self, network: DrawnJudge) -> None:
        self.network = network
        self._understood: dict[tuple[str, ...], Understood] = {}
        self._impression = self.understand(FAMILIES[IMPRESSION].wordings[0], "").vector

    @torch.inference_mode()
    def verdict(self, instruction: str, questions: Sequence[str], source: Image, edited: Image) -> Verdict:
        """Pictures (64, 64, 3) uint8. Raises CannotRead for an instruction that the network was not made for."""
        words = torch.from_numpy(encode([_instruction_words(instruction)], MOST_INSTRUCTION))
        memory, read = self.network.remember(to_tensor(source[None].copy()), to_tensor(edited[None].copy()), words)
        task = TASKS[int(self.network.tasks(memory, read).argmax())]
        understood = [self.understand(question, instruction) for question in questions]
        vectors = torch.stack([self._impression, *(one.vector for one in understood)])
        chances = torch.sigmoid(self.network.answer(memory, read, vectors[None])[0]).tolist()
        answers = tuple(_answer(one, round(yes, 6), task) for one, yes in zip(understood, chances[1:], strict=True))
        return Verdict(round(chances[0], 6), task, answers)

    @torch.inference_mode()
    def understand(self, question: str, instruction: str) -> Understood:
        words = tuple(split_question(question, instruction))
        if words not in self._understood:
            if len(self._understood) >= KEPT:
                self._understood.clear()
            self._understood[words] = self._read(words)
        return self._understood[words]

    def _read(self, words: tuple[str, ...]) -> Understood:
        vector, logits = self.network.ask(torch.from_numpy(encode([words], MOST_QUESTION)))
        chance, best = torch.softmax(logits[0], 0).max(0)
        why_not = ""
        if len(words) > MOST_QUESTION:
            why_not = f"The question has {len(words)} words; the demo judge reads {MOST_QUESTION} at most."
        elif not words:
            why_not = "There is no word in the question."
        elif strange := _strange(words):
            why_not = f"Too many words that the demo judge was not taught: {', '.join(strange)}."
        elif int(best) == OTHER or float(chance) < SURE:
            why_not = "The demo judge was not trained for this question."
        elif FAMILIES[KEYS[int(best)]].fault and DENYING & set(words):
            why_not = "The question denies a fault, and the demo judge is not sure what yes would mean."
        return Understood("" if why_not else KEYS[int(best)], why_not, vector[0])


def _strange(words: Sequence[str]) -> list[str]:
    """The unknown words, each once, where they are too many; else none."""
    unknown = unknown_words(words)
    meaning = [word for word in words if word not in SMALL_WORDS]
    return list(dict.fromkeys(unknown)) if len(unknown) > MOST_UNKNOWN * len(meaning) else []


def _instruction_words(instruction: str) -> list[str]:
    words = split(instruction)
    strange = _strange(words)
    if strange or not words or len(words) > MOST_INSTRUCTION:
        why = f": it does not know {', '.join(strange)}." if strange else "."
        raise CannotRead(
            f"The demo judge knows the instructions of the drawn world alone, and cannot read this one{why}"
        )
    return words


def _answer(understood: Understood, yes: float, task: str) -> Answer:
    if understood.why_not:
        return Answer("", None, understood.why_not)
    if task not in FAMILIES[understood.family].tasks:
        return Answer(understood.family, None, f"This cannot be asked of an edit of the kind “{task}”.")
    return Answer(understood.family, yes)
