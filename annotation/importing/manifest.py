"""The manifest: what the rows of cases and candidates say. docs/importing.md describes the format.

Everything wrong in it is collected with file, line and column, so that one look is enough to put all of it right.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from annotation.importing.fields import RowReader
from annotation.importing.limits import Limits
from annotation.importing.problems import ImportProblem, Problems, quoted
from annotation.importing.rows import Table
from annotation.importing.source import ImportSource

SPLITS = ("train", "dev", "test", "bench")
CASE_REQUIRED = ("key", "source", "instruction", "task")
CASE_COLUMNS = (
    *CASE_REQUIRED,
    *("instruction_zh", "description", "requirement", "split", "mask", "params", "attribution", "licence"),
)
CANDIDATE_REQUIRED = ("case", "editor", "file")
CANDIDATE_COLUMNS = (*CANDIDATE_REQUIRED, "seed", "settings")


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A source image with an edit instruction. ``source`` and ``mask`` are names in the import."""

    line: int
    key: str
    source: str
    instruction: str
    task: str
    instruction_zh: str = ""
    description: str = ""
    requirement: str = ""
    split: str = "train"
    mask: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    attribution: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """An edited image that an editor made of a case; ``file`` is a name in the import."""

    line: int
    case: str
    editor: str
    file: str
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cases:
    """The rows without a problem, and the line of every key, also of a row that has another problem.

    ``whole`` is false where rows could not be read, so that a key may exist that is not in ``keys``.
    """

    rows: tuple[CaseRow, ...] = ()
    keys: Mapping[str, int] = field(default_factory=dict)
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Manifest:
    cases_file: str | None
    candidates_file: str | None
    cases: Cases
    candidates: tuple[CandidateRow, ...]


def read_manifest(source: ImportSource, known_tasks: Collection[str], limits: Limits, problems: Problems) -> Manifest:
    """The manifest at the top of ``source``; what is wrong with it is added to ``problems``."""
    cases_file, cases_data = _read(source, "cases", limits, problems)
    candidates_file, candidates_data = _read(source, "candidates", limits, problems)
    if cases_file is None and candidates_file is None:
        problems.add(_nothing_found(source), source.label)
    cases = Cases(whole=cases_file is None)
    candidates: tuple[CandidateRow, ...] = ()
    if cases_file and cases_data is not None:
        cases = parse_cases(cases_data, cases_file, known_tasks, limits, problems)
    if candidates_file and candidates_data is not None:
        candidates = parse_candidates(candidates_data, candidates_file, limits, problems)
    return Manifest(cases_file, candidates_file, cases, candidates)


def parse_cases(data: bytes, file: str, known_tasks: Collection[str], limits: Limits, problems: Problems) -> Cases:
    """The rows of ``cases.jsonl`` or ``cases.csv``."""
    table = Table(file, CASE_COLUMNS, CASE_REQUIRED, limits.max_rows, problems)
    rows: list[CaseRow] = []
    keys: dict[str, int] = {}
    before = problems.total
    for row in table.rows(data):
        reader = RowReader(table, row, limits)
        case = _case(reader, known_tasks)
        if case.key and (first := keys.setdefault(case.key, row.line)) != row.line:
            reader.problem("key", f"The key {quoted(case.key)} is already used in line {first}.")
        if reader.ok:
            rows.append(case)
    if not rows and problems.total == before:
        problems.add("The file has no rows.", file)
    return Cases(tuple(rows), keys, table.whole)


def parse_candidates(data: bytes, file: str, limits: Limits, problems: Problems) -> tuple[CandidateRow, ...]:
    """The rows of ``candidates.jsonl`` or ``candidates.csv`` without a problem."""
    table = Table(file, CANDIDATE_COLUMNS, CANDIDATE_REQUIRED, limits.max_rows, problems)
    rows: list[CandidateRow] = []
    before = problems.total
    for row in table.rows(data):
        reader = RowReader(table, row, limits)
        candidate = _candidate(reader)
        if reader.ok:
            rows.append(candidate)
    if not rows and problems.total == before:
        problems.add("The file has no rows.", file)
    return tuple(rows)


def _case(reader: RowReader, known_tasks: Collection[str]) -> CaseRow:
    limits = reader.limits
    return CaseRow(
        line=reader.row.line,
        key=reader.key("key"),
        source=reader.path("source", required=True),
        instruction=reader.text("instruction", limits.max_instruction, required=True, lines=True),
        task=reader.choice("task", known_tasks, "task"),
        instruction_zh=reader.text("instruction_zh", limits.max_instruction, lines=True),
        description=reader.text("description", limits.max_text, lines=True),
        requirement=reader.text("requirement", limits.max_text, lines=True),
        split=reader.choice("split", SPLITS, "split", default="train"),
        mask=reader.path("mask") or None,
        params=reader.json_object("params"),
        attribution=reader.text("attribution", limits.max_line, lines=True),
        licence=reader.text("licence", limits.max_line, lines=True),
    )


def _candidate(reader: RowReader) -> CandidateRow:
    return CandidateRow(
        line=reader.row.line,
        case=reader.key("case"),
        editor=reader.slug("editor"),
        file=reader.path("file", required=True),
        seed=reader.seed("seed"),
        settings=reader.json_object("settings"),
    )


def _read(source: ImportSource, table: str, limits: Limits, problems: Problems) -> tuple[str | None, bytes | None]:
    """Name and bytes of one manifest file; no bytes where it cannot be read, and no name where there is none."""
    found = [file for file in (f"{table}.jsonl", f"{table}.csv") if file in source]
    if not found:
        return None, None
    if len(found) == 2:
        problems.add(f"There are both {found[0]} and {found[1]}. Keep one of them.", source.label)
        return found[0], None
    try:
        return found[0], source.open(found[0], limits.max_manifest_bytes)
    except ImportProblem as error:
        problems.add(error.problem.sentence, found[0])
        return found[0], None


def _nothing_found(source: ImportSource) -> str:
    said = "There is no manifest: cases.jsonl, cases.csv, candidates.jsonl or candidates.csv must lie at the top."
    stems = {"cases.jsonl", "cases.csv", "candidates.jsonl", "candidates.csv"}
    if near := next((name for name in source.names() if name.rpartition("/")[2].lower() in stems), None):
        return f"{said} {quoted(near)} does not count."
    return said
