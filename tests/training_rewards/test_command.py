"""``manage.py score``: what it hands to the program, what it prints, what it refuses."""

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests import reward_models as rows
from training.reward_models.registry import folder_of


class Program:
    """Instead of the scoring program: notes what it was asked."""

    def __init__(self, status: int = 0, error: str = "") -> None:
        self.status, self.error, self.asked = status, error, []  # type: ignore[var-annotated]

    def __call__(self, program: list[str], **more: Any) -> subprocess.CompletedProcess[bytes]:
        self.program = program
        self.asked = [json.loads(line) for line in more["input"].decode().splitlines()]
        lines = [{"candidate": one, "overall": 3.0} for row in self.asked for one in row["candidates"]]
        said = "".join(json.dumps(line) + "\n" for line in lines)
        return subprocess.CompletedProcess(program, self.status, said.encode(), self.error.encode())


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Program:
    found = Program()
    monkeypatch.setattr(subprocess, "run", found)
    return found


def score(*arguments: Any) -> tuple[list[Any], str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("score", *map(str, arguments), stdout=out, stderr=err)
    return [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


def test_it_works(db: None, program: Program, settings: Any, tmp_path: Path) -> None:
    settings.GPU_PYTHON = "/gpu/python"
    made = rows.model(notice="Demo data.")
    found, said = score("--model", "mine@1", "--instruction", "Turn it blue.", tmp_path / "s.png", tmp_path / "e.png")
    assert program.program[:3] == ["/gpu/python", "-m", "training.gpu.reward.score_files"]
    assert program.program[3] == str(folder_of(made))
    asked = {"instruction": "Turn it blue.", "source": f"{tmp_path}/s.png", "candidates": [f"{tmp_path}/e.png"]}
    assert program.asked == [asked]
    assert found == [{"candidate": f"{tmp_path}/e.png", "overall": 3.0}]
    assert said.strip() == "Demo data."


def test_files_of_a_list_lie_beside_it(db: None, program: Program, tmp_path: Path) -> None:
    rows.model()
    lines = [{"instruction": "A", "source": "s.png", "candidates": ["1.png", "/abs/2.png"]}]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    score("--model", "mine", "--file", tmp_path / "list.jsonl")
    assert program.asked == [
        {"instruction": "A", "source": f"{tmp_path}/s.png", "candidates": [f"{tmp_path}/1.png", "/abs/2.png"]}
    ]


def test_a_line_ends_at_its_newline_alone(db: None, program: Program, tmp_path: Path) -> None:
    """Other line separators of Unicode may stand in an instruction as they are."""
    rows.model()
    line = {"instruction": "One\u2028two\x85three.", "source": "/s.png", "candidates": ["/1.png"]}
    (tmp_path / "list.jsonl").write_text(json.dumps(line, ensure_ascii=False) + "\n", encoding="utf-8")
    score("--model", "mine", "--file", tmp_path / "list.jsonl")
    assert program.asked == [line]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "yours", "--instruction", "x", "a", "b"], "There is no reward model “yours”"),
        (["--model", "mine", "--instruction", "x", "a"], "at least one edited picture"),
        (["--model", "mine", "a", "b"], "Give --instruction"),
        (["--model", "mine", "--file", "/nowhere.jsonl"], "cannot be read"),
        (["--model", "mine", "--file", "/nowhere.jsonl", "a"], "either --file"),
    ],
)
def test_what_is_refused(db: None, program: Program, arguments: list[str], words: str) -> None:
    rows.model()
    with pytest.raises(CommandError, match=words):
        score(*arguments)


@pytest.mark.parametrize("line", ["{", "5", '{"instruction": "x"}', '{"instruction": "x", "source": 1}'])
def test_a_wrong_line_is_said_by_its_number(db: None, program: Program, tmp_path: Path, line: str) -> None:
    rows.model()
    (tmp_path / "list.jsonl").write_text('{"instruction": "A", "source": "s", "candidates": []}\n' + line + "\n")
    with pytest.raises(CommandError, match="Line 2"):
        score("--model", "mine", "--file", tmp_path / "list.jsonl")


def test_what_the_program_says_is_passed_on(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    rows.model()
    monkeypatch.setattr(subprocess, "run", Program(2, "The fingerprint differs."))
    with pytest.raises(CommandError, match="The fingerprint differs"):
        score("--model", "mine", "--instruction", "x", "a", "b")
