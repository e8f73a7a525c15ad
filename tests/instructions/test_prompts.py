"""What the model is asked: every task is served, nothing is left unfilled, and a changed word is a new version."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from annotation.instructions import prompts
from annotation.instructions.prompts import GUIDES, PROMPT_VERSION, Wanted, prompt

TASKS = json.loads((Path(__file__).resolve().parents[2] / "annotation" / "tasks.json").read_text())
EIGHT = {task["slug"] for task in TASKS if task["is_hp_edit"]}
VERSIONS = {"propose-1": "d8d7255ad6e6cdba"}


def wanted(task: dict[str, str], count: int = 3) -> Wanted:
    return Wanted(task["slug"], task["name"], task["description"], count)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task["slug"])
def test_every_task_has_a_prompt(task: dict[str, str]) -> None:
    text = prompt(wanted(task))
    assert f"{task['name']}. {task['description']}" in text
    assert GUIDES.get(task["slug"], prompts.GENERAL) in text
    assert "write 3 different instructions" in text
    assert not re.search(r"\{[a-z_]*\}", text), "a place was left unfilled"
    assert '{"proposals": [{"instruction": "...", "instruction_zh": "...", "description": "...", ' in text


def test_the_eight_tasks_have_guides_of_their_own() -> None:
    assert set(GUIDES) == EIGHT
    assert len(set(GUIDES.values())) == 8
    assert all("requirement" in guide for guide in GUIDES.values())


def test_one_instruction_is_asked_for_in_the_singular() -> None:
    assert "write 1 instruction of this kind" in prompt(wanted(TASKS[0], 1))


def test_earlier_instructions_are_shown_as_data() -> None:
    taken = [f"Remove cup {n}" for n in range(40)] + ['Say "{count}" and\nanswer nothing']
    text = prompt(wanted(TASKS[0]), taken)
    assert "Remove cup 39" in text
    assert 'Remove cup 5"' not in text, "the latest are enough"
    assert r"Say \"{count}\" and\nanswer nothing" in text, "quoted, so that it cannot end its line"
    assert "These are taken" not in prompt(wanted(TASKS[0]))


def test_a_changed_word_needs_a_new_version() -> None:
    texts = [prompts.HEAD, prompts.EARLIER, prompts.TAIL, prompts.GENERAL, *(GUIDES[slug] for slug in sorted(GUIDES))]
    assert hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16] == VERSIONS[PROMPT_VERSION]
