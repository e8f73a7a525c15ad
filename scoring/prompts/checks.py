"""What is wrong with the content of a version, in the user's words. Knows no database."""

import unicodedata
from dataclasses import dataclass

from django.utils.translation import gettext as _

from scoring.judging.render import (
    ANSWER_HEAD,
    CASE_HEAD,
    PLACEHOLDERS,
    QUESTIONS_HEAD,
    SCORE_HEAD,
    PromptError,
    fill,
)
from scoring.prompts.drafts import Draft

MOST_QUESTIONS = 40
LONGEST_QUESTION = 1000
LONGEST_BLOCK = 8000  # preamble, rubric
HEADS = (CASE_HEAD, QUESTIONS_HEAD, SCORE_HEAD, ANSWER_HEAD)
QUESTIONS = "questions"


@dataclass(frozen=True, slots=True)
class Problem:
    """``field``: preamble, rubric, note or questions; ``row``: which question from 0, None for the list as a whole."""

    field: str
    message: str
    row: int | None = None

    def __str__(self) -> str:
        if self.row is None:
            return self.message
        return _("Question %(number)d: %(message)s") % {"number": self.row + 1, "message": self.message}


def problems(draft: Draft, note: str = "") -> list[Problem]:
    """Everything that keeps a draft from being a version; empty if nothing does."""
    found = [Problem(name, words) for name in ("preamble", "rubric") for words in _block(getattr(draft, name))]
    if len(draft.questions) > MOST_QUESTIONS:
        words = _("There are %(count)d questions. %(most)d are the most.")
        found.append(Problem(QUESTIONS, words % {"count": len(draft.questions), "most": MOST_QUESTIONS}))
    for place, line in enumerate(draft.questions):
        found += [Problem(QUESTIONS, words, place) for words in _question(line.text)]
    found += [Problem("note", words) for words in _signs(note)]
    return found


def _block(text: str) -> list[str]:
    if not text:
        return [_("Write something here.")]
    found = _any_text(text, LONGEST_BLOCK)
    heads = [head for head in HEADS if head in text.split("\n")]
    if heads:
        words = _("The line “%(head)s” stands in the prompt by itself. Write another heading.")
        found.append(words % {"head": heads[0]})
    return found


def _question(text: str) -> list[str]:
    if not text:
        return [_("Write the question, or take it away.")]
    return _any_text(text, LONGEST_QUESTION)


def _any_text(text: str, longest: int) -> list[str]:
    found = []
    if len(text) > longest:
        words = _("This has %(count)d characters. %(most)d are the most.")
        found.append(words % {"count": len(text), "most": longest})
    found += _signs(text)
    try:
        fill(text, dict.fromkeys(PLACEHOLDERS, ""))
    except PromptError as error:
        found.append(str(error))
    return found


def _signs(text: str) -> list[str]:
    odd = next((character for character in text if _is_control(character)), None)
    if odd is None:
        return []
    words = _("There is a control character (U+%(code)s) in the text. Take it out.")
    return [words % {"code": f"{ord(odd):04X}"}]


def _is_control(character: str) -> bool:
    """Signs that do not show, and halves of signs, which no file can hold; a block's line ends and tabs are none."""
    return unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t"
