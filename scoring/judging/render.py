"""A scoring prompt as the text that a judge reads. Pure.

The text has fixed parts in a fixed order, so that every backend finds them: preamble, the case, the numbered questions,
the rubric, the form of the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PLACEHOLDERS = ("task", "instruction", "requirement")
CASE_HEAD, QUESTIONS_HEAD, SCORE_HEAD, ANSWER_HEAD = "# The case", "# Questions", "# Score", "# Answer"
PLACEHOLDER = re.compile(r"\{(\w+)\}")

PICTURES = "Two pictures follow. Picture A is the source before the edit. Picture B is the edited picture."
FORM = """\
Answer with one JSON object and nothing else:
{{"answers": [{{"question": 1, "answer": "yes", "why": "..."}}], "reasoning": "...", "score": N}}
"answers": one entry for each numbered question, in order{none}; each answer is "yes", "partly", "no" or \
"cannot judge". "why": one short sentence. "reasoning": two or three sentences that weigh the answers. N: your \
score, a whole number from {low} to {high}, written last."""


class PromptError(ValueError):
    """The prompt cannot be rendered; the message says why in the user's words."""


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What a prompt may say of a case: the task's name, and the case's texts."""

    task: str
    instruction: str
    requirement: str = ""


@dataclass(frozen=True, slots=True)
class PromptText:
    """The content of one version: ``questions`` are those that are switched on, in order."""

    preamble: str
    questions: tuple[str, ...]
    rubric: str
    low: int
    high: int


def render(prompt: PromptText, case: CaseFacts) -> str:
    """The text for one case. Raises PromptError for a placeholder that there is not."""
    facts = {"task": case.task, "instruction": case.instruction, "requirement": case.requirement}
    values = {name: _one_line(text) for name, text in facts.items()}  # a text must not look like a part of the prompt
    filled = [fill(text, values) for text in (prompt.preamble, *prompt.questions, prompt.rubric)]
    preamble, questions, rubric = filled[0], filled[1:-1], filled[-1]
    lines = [f"Task: {case.task}", f"Instruction: {case.instruction}"]
    if case.requirement:
        lines.append(f"Requirement: {case.requirement}")
    parts = [preamble, f"{CASE_HEAD}\n{PICTURES}\n" + "\n".join(_one_line(line) for line in lines)]
    if questions:
        numbered = [f"{number}. {_one_line(text)}" for number, text in enumerate(questions, start=1)]
        parts.append(f"{QUESTIONS_HEAD}\n" + "\n".join(numbered))
    parts.append(f"{SCORE_HEAD}\n{rubric}")
    form = FORM.format(low=prompt.low, high=prompt.high, none="" if questions else " (there are none: an empty list)")
    return "\n\n".join([*parts, f"{ANSWER_HEAD}\n{form}"])


def fill(text: str, values: dict[str, str]) -> str:
    """Replace {task} and the like. Braces around anything but a word stay as they are."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise PromptError(f"There is no placeholder {{{found[1]}}}. Use {known}.")
        return values[found[1]]

    return PLACEHOLDER.sub(value, text)


def _one_line(text: str) -> str:
    """A question or a fact takes one line, whatever was typed: the parts must stay apart."""
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Rendered:
    """The parts of a rendered prompt, as a backend that is no language model reads them."""

    instruction: str
    task: str
    questions: tuple[str, ...]
    rubric: str


def parse(text: str) -> Rendered:
    """The parts of a text that ``render`` made. Raises PromptError for another text."""
    heads = [f"\n\n{head}\n" for head in (CASE_HEAD, SCORE_HEAD, ANSWER_HEAD)]
    places = [text.rfind(head) for head in heads]
    if -1 in places or places != sorted(places):
        raise PromptError("This is not a rendered scoring prompt: one of its parts is missing.")
    middle = text[places[0] + len(heads[0]) : places[1]]
    case, _, asked = middle.partition(f"\n\n{QUESTIONS_HEAD}\n")
    facts = dict(line.split(": ", 1) for line in case.splitlines()[1:] if ": " in line)
    questions = tuple(line.partition(". ")[2] for line in asked.splitlines())
    rubric = text[places[1] + len(heads[1]) : places[2]]
    return Rendered(facts.get("Instruction", ""), facts.get("Task", ""), questions, rubric)
