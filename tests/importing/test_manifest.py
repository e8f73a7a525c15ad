"""The manifest's rows, as JSON Lines and as CSV, and every way in which a row is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping

import pytest

from annotation.importing.limits import Limits
from annotation.importing.manifest import (
    CANDIDATE_COLUMNS,
    CASE_COLUMNS,
    CandidateRow,
    CaseRow,
    Cases,
    parse_candidates,
    parse_cases,
)
from annotation.importing.problems import Problems
from tests.importing.make import TASKS, candidate, case, jsonl

FULL = {
    "key": "cats/1",
    "source": "images/cat.png",
    "instruction": "Remove the cat.",
    "instruction_zh": "移除猫。",
    "description": "A sofa,\nwithout a cat",
    "task": "remove",
    "requirement": "Keep the sofa.",
    "split": "bench",
    "mask": "masks/cat.png",
    "params": {"radius": 3, "colour": "grün", "on": True, "parts": [1, 2.5]},
    "attribution": "Jo Müller",
    "licence": "CC0-1.0",
}


def as_csv(rows: Iterable[Mapping[str, object]], end: str = "\r\n") -> bytes:
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, lineterminator=end)
    writer.writeheader()
    for row in rows:
        writer.writerow({n: json.dumps(v) if isinstance(v, dict) else v for n, v in row.items()})
    return out.getvalue().encode()


def cases(data: bytes, file: str = "cases.jsonl", limits: Limits | None = None) -> tuple[Cases, list[str]]:
    limits = limits or Limits()
    problems = Problems(limits.max_problems)
    parsed = parse_cases(data, file, TASKS, limits, problems)
    return parsed, [str(problem) for problem in problems]


def candidates(data: bytes, file: str = "candidates.jsonl") -> tuple[tuple[CandidateRow, ...], list[str]]:
    problems = Problems(100)
    parsed = parse_candidates(data, file, Limits(), problems)
    return parsed, [str(problem) for problem in problems]


def only(problems: list[str]) -> str:
    assert len(problems) == 1, problems
    return problems[0]


@pytest.mark.parametrize(("file", "write"), [("cases.jsonl", jsonl), ("cases.csv", as_csv)])
def test_it_works(file: str, write: object) -> None:
    data = write([FULL, case("two")])  # type: ignore[operator]
    parsed, problems = cases(data, file)
    assert not problems
    # The description has a line feed, so in CSV the second row begins a line later.
    second = 4 if file == "cases.csv" else 2
    assert parsed.rows[0] == CaseRow(line=1 if file == "cases.jsonl" else 2, **FULL)  # type: ignore[arg-type]
    assert parsed.rows[1] == CaseRow(second, "two", "a.png", "Remove the cat.", "remove")
    assert parsed.rows[1].split == "train"
    assert parsed.rows[1].mask is None
    assert parsed.keys == {"cats/1": parsed.rows[0].line, "two": second}


@pytest.mark.parametrize(("file", "write"), [("candidates.jsonl", jsonl), ("candidates.csv", as_csv)])
def test_candidates_work(file: str, write: object) -> None:
    rows = [candidate(seed=7, settings={"steps": 8}), candidate(file="c.png")]
    parsed, problems = candidates(write(rows), file)  # type: ignore[operator]
    assert not problems
    first = 1 if file == "candidates.jsonl" else 2
    assert parsed == (
        CandidateRow(first, "one", "careful", "b.png", 7, {"steps": 8}),
        CandidateRow(first + 1, "one", "careful", "c.png", 0, {}),
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_csv_of_every_system_is_read(end: str, start: bytes) -> None:
    parsed, problems = cases(start + as_csv([case("one"), case("two")], end), "cases.csv")
    assert not problems
    assert [(row.key, row.line) for row in parsed.rows] == [("one", 2), ("two", 3)]


def test_jsonl_with_a_mark_crlf_and_empty_lines_is_read() -> None:
    data = b"\xef\xbb\xbf" + jsonl([case("one")]).replace(b"\n", b"\r\n") + b"\r\n  \n" + jsonl([case("two")]).rstrip()
    parsed, problems = cases(data)
    assert not problems
    assert [(row.key, row.line) for row in parsed.rows] == [("one", 1), ("two", 4)]


def test_line_separators_inside_text_do_not_end_a_json_line() -> None:
    parsed, problems = cases(jsonl([case("one", instruction="a\u2028b"), case("two")]))
    assert not problems
    assert [row.line for row in parsed.rows] == [1, 2]


def test_empty_csv_lines_are_passed_over_and_quoted_line_feeds_are_counted() -> None:
    text = 'key,source,instruction,task\n\n,,,\none,a.png,"Remove\nthe\ncat.",remove\ntwo,a.png,x,nothing\n'
    parsed, problems = cases(text.encode(), "cases.csv")
    assert parsed.rows[0].instruction == "Remove\nthe\ncat."
    assert parsed.rows[0].line == 4
    assert only(problems).startswith("cases.csv, line 7, task: “nothing” is no known task.")


def test_null_and_empty_cells_count_as_left_out() -> None:
    parsed, problems = cases(jsonl([case(mask=None, params=None, split=None)]))
    assert not problems
    assert parsed.rows[0] == CaseRow(1, "one", "a.png", "Remove the cat.", "remove")
    parsed, problems = cases(as_csv([case(mask="", params="", split=" ", licence="")]), "cases.csv")
    assert not problems
    assert parsed.rows[0] == CaseRow(2, "one", "a.png", "Remove the cat.", "remove")


def test_white_space_around_text_is_dropped_and_names_are_composed() -> None:
    parsed, problems = cases(jsonl([case(" cafe\u0301 ", source=" cafe\u0301.png\n", instruction="  x\r\ny ")]))
    assert not problems
    row = parsed.rows[0]
    assert (row.key, row.source, row.instruction) == ("caf\u00e9", "caf\u00e9.png", "x\ny")


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ({"key": None}, "key: This is missing. Every row needs it."),
        ({"key": ""}, "key: This is empty. Every row needs it."),
        ({"key": "x" * 201}, "key: This is 201 characters long; the limit is 200."),
        ({"key": 7}, "key: This is a number; it must be text in quotation marks."),
        ({"key": "a\nb"}, "key: This holds the control character U+000A. Remove it."),
        ({"instruction": "   "}, "instruction: This is empty. Every row needs it."),
        ({"instruction": None}, "instruction: This is missing. Every row needs it."),
        ({"instruction": ["x"]}, "instruction: This is a list; it must be text in quotation marks."),
        ({"instruction": "x" * 4001}, "instruction: This is 4,001 characters long; the limit is 4,000."),
        ({"instruction": "a\0b"}, "instruction: This holds the control character U+0000. Remove it."),
        ({"instruction": "\ud800"}, "instruction: This is not valid UTF-8 text. Save the file as UTF-8."),
        ({"instruction_zh": "x" * 4001}, "instruction_zh: This is 4,001 characters long; the limit is 4,000."),
        ({"description": "x" * 10_001}, "description: This is 10,001 characters long; the limit is 10,000."),
        ({"requirement": True}, "requirement: This is true or false; it must be text in quotation marks."),
        ({"attribution": "x" * 501}, "attribution: This is 501 characters long; the limit is 500."),
        ({"licence": {}}, "licence: This is an object; it must be text in quotation marks."),
        ({"source": None}, "source: This is missing. Every row needs it."),
        ({"source": "../a.png"}, "source: The path leaves the import with “..”. Every file must lie inside it."),
        ({"source": "/a.png"}, "source: The path is absolute. Give it from the top"),
        ({"source": "a\\b.png"}, "source: The path has a backslash. Use / between folders."),
        ({"source": "./a.png"}, "source: The path has an empty part or a “.”."),
        ({"source": "a\u202egnp.exe"}, "source: This holds the control character U+202E. Remove it."),
        ({"mask": "C:\\a.png"}, "mask: The path has a backslash."),
        ({"mask": "x" * 401}, "mask: This is 401 characters long; the limit is 400."),
        ({"task": None}, "task: This is missing. Every row needs it."),
        ({"task": "remvoe"}, "task: “remvoe” is no known task. Did you mean remove?"),
        ({"task": "Remove"}, "task: “Remove” is no known task. Did you mean remove?"),
        ({"task": "REMOVE"}, "task: “REMOVE” is no known task. Did you mean remove?"),
        ({"task": "xyz"}, "task: “xyz” is no known task. Known: add, background, bokeh, color, relight, remove,"),
        ({"task": 3}, "task: This is a number; it must be text in quotation marks."),
        ({"split": "tset"}, "split: “tset” is no known split. Did you mean test?"),
        ({"split": "valid"}, "split: “valid” is no known split. Known: bench, dev, test, train."),
        ({"params": []}, "params: This is a list; it must be a JSON object, such as"),
        ({"params": "{}"}, "params: This is text; it must be a JSON object, such as"),
        ({"params": {"a": "x" * 100_000}}, "params: This is 100,009 characters of JSON; the limit is 100,000."),
        ({"params": {"a": ["\0"]}}, "params: This holds the control character U+0000. Remove it."),
        ({"params": {"\0": 1}}, "params: This holds the control character U+0000. Remove it."),
        ({"params": json.loads('{"a":' * 20 + "1" + "}" * 20)}, "params: This is nested more than 20 deep."),
        ({"instrution": "x"}, "The column “instrution” is unknown. Allowed: key, source, instruction, task,"),
    ],
)
def test_bad_cells_are_refused_by_line_and_column(cells: dict[str, object], sentence: str) -> None:
    # json.dumps escapes lone surrogates, as a hostile file would.
    rows = [case("good"), case() | cells]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    parsed, problems = cases(data)
    assert only(problems).startswith(f"cases.jsonl, line 2, {sentence}") or only(problems).startswith(
        f"cases.jsonl, line 2: {sentence}"
    )
    assert parsed.rows[0].key == "good"


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ({"case": None}, "case: This is missing. Every row needs it."),
        ({"file": ""}, "file: This is empty. Every row needs it."),
        ({"file": "a/../../b"}, "file: The path leaves the import"),
        ({"editor": "My Editor"}, "editor: “My Editor” is no slug. Use small letters, digits, - and _ only."),
        ({"editor": "-x"}, "editor: “-x” is no slug."),
        ({"editor": "é"}, "editor: “é” is no slug."),
        ({"editor": "x" * 65}, "editor: This is 65 characters long; the limit is 64."),
        ({"seed": -1}, "seed: The seed must be a whole number from 0 to 9223372036854775807; this is -1."),
        ({"seed": 2**63}, "seed: The seed must be a whole number"),
        ({"seed": 1.5}, "seed: The seed must be a whole number"),
        ({"seed": 3.0}, "seed: The seed must be a whole number"),
        ({"seed": True}, "seed: The seed must be a whole number"),
        ({"seed": "3"}, "seed: The seed must be a whole number from 0 to 9223372036854775807; this is “3”."),
        ({"seed": [3]}, "seed: The seed must be a whole number"),
        ({"settings": 3}, "settings: This is a number; it must be a JSON object"),
    ],
)
def test_bad_candidates_are_refused_by_line_and_column(cells: dict[str, object], sentence: str) -> None:
    parsed, problems = candidates(jsonl([candidate(), candidate() | cells]))
    assert only(problems).startswith(f"candidates.jsonl, line 2, {sentence}")
    assert len(parsed) == 1


@pytest.mark.parametrize("seed", ["x", "-1", "1.0", "1e3", "0x10", "9" * 25, "٣", "1_000"])
def test_bad_seeds_in_csv_are_refused(seed: str) -> None:
    assert only(candidates(as_csv([candidate(seed=seed)]), "candidates.csv")[1]).startswith(
        "candidates.csv, line 2, seed: The seed must be a whole number"
    )


@pytest.mark.parametrize(("seed", "value"), [("0", 0), (" 12 ", 12), (str(2**63 - 1), 2**63 - 1), ("", 0)])
def test_good_seeds_in_csv_are_read(seed: str, value: int) -> None:
    parsed, problems = candidates(as_csv([candidate(seed=seed)]), "candidates.csv")
    assert not problems
    assert parsed[0].seed == value


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ("{", "This cannot be read as JSON: Expecting property name"),
        ("{'a': 1}", "This cannot be read as JSON: Expecting property name"),
        ("[1]", "This is a list; it must be a JSON object"),
        ("3", "This is a number; it must be a JSON object"),
        ('{"a": NaN}', "This cannot be read as JSON: NaN is no number of JSON."),
        ('{"a": 1, "a": 2}', "This cannot be read as JSON: “a” is there twice."),
    ],
)
def test_bad_json_in_a_csv_cell_is_refused(params: str, sentence: str) -> None:
    _, problems = cases(as_csv([case(params=params)]), "cases.csv")
    assert only(problems).startswith(f"cases.csv, line 2, params: {sentence}")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"{", "This line cannot be read as JSON: Expecting property name"),
        (b"{}{}", "This line cannot be read as JSON: Extra data"),
        (b"not json", "This line cannot be read as JSON: Expecting value (character 1)."),
        (b"[]", "This line is not a JSON object."),
        (b'"text"', "This line is not a JSON object."),
        (b"null", "This line is not a JSON object."),
        (b'{"key": Infinity}', "This line cannot be read as JSON: Infinity is no number of JSON."),
        (b'{"params": {"a": 1e999}}', "This line cannot be read as JSON: the number 1e999 is too large."),
        (b'{"params": {"a": ' + b"9" * 5000 + b"}}", "This line cannot be read as JSON: the number 999"),
        (b'{"key": "a", "key": "b"}', "This line cannot be read as JSON: “key” is there twice."),
        (b"[" * 100_000, "This line cannot be read as JSON: it is nested too deeply."),
        (b'{"params":' * 100_000, "This line cannot be read as JSON: it is nested too deeply."),
        (b"\xff\xfe", "This line cannot be read as JSON"),
    ],
)
def test_lines_that_are_no_json_object_are_refused(line: bytes, sentence: str) -> None:
    parsed, problems = cases(jsonl([case()]) + line + b"\n" + jsonl([case("two")]))
    assert only(problems).startswith(f"cases.jsonl, line 2: {sentence}")
    assert [row.line for row in parsed.rows] == [1, 3]
    assert not parsed.whole


@pytest.mark.parametrize("file", ["cases.jsonl", "cases.csv"])
def test_text_that_is_not_utf8_is_named_by_line_and_column(file: str) -> None:
    data = (jsonl if file == "cases.jsonl" else as_csv)([case("one"), case("two", instruction="caf\u00e9")])
    _, problems = cases(data.decode().encode("latin-1"), file)
    line = 2 if file == "cases.jsonl" else 3
    assert only(problems) == f"{file}, line {line}, instruction: This is not valid UTF-8 text. Save the file as UTF-8."


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("file", ["cases.jsonl", "cases.csv"])
def test_other_encodings_are_refused(encoding: str, file: str) -> None:
    parsed, problems = cases((jsonl if file == "cases.jsonl" else as_csv)([case()]).decode().encode(encoding), file)
    assert problems
    assert not parsed.rows
    if encoding != "utf-16-le":  # without a mark at its start it is just full of NULs
        assert only(problems) == f"{file}: The file is UTF-16 or UTF-32. Save it as UTF-8."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("key,source,task\n", "line 1, instruction: The column instruction is missing from the first line."),
        ("key;source;instruction;task\na;b;c;d\n", "line 1: The columns are not separated by commas."),
        ("key\tsource\tinstruction\ttask\n", "line 1: The columns are not separated by commas."),
        ("key,source,instruction,task,key\n1,2,3,add,5\n", "line 1: The column “key” is there twice."),
        ("key,source,instruction,task,\n1,2,3,add,\n", "line 1: Column 5 has no name. Name it or delete it."),
        ("key,source,instruction,task,colour\n1,2,3,add,5\n", "line 1: The column “colour” is unknown. Allowed: key,"),
        ("Key,source,instruction,task,key\n1,2,3,add,5\n", "line 1: The column “Key” is unknown. Allowed: key,"),
        ("key,source,instruction,task\n1,2,3\n", "line 2: This row has 3 cells; the first line has 4."),
        ("key,source,instruction,task\n1,2,3,add,5\n", "line 2: This row has 5 cells; the first line has 4."),
        ('key,source,instruction,task\n1,2,"3"x,add\n', "line 2: The CSV cannot be read from here on: "),
        ('key,source,instruction,task\n1,2,"3,add\n', "line 2: The CSV cannot be read from here on: unexpected end"),
        (f"key,source,instruction,task\n1,2,{'3' * 200_000},add\n", "line 2: The CSV cannot be read from here on"),
    ],
)
def test_bad_csv_is_refused(text: str, sentence: str) -> None:
    assert only(cases(text.encode(), "cases.csv")[1]).startswith(f"cases.csv, {sentence}")


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b"\n\n", b"  \r\n"])
@pytest.mark.parametrize("file", ["cases.jsonl", "cases.csv"])
def test_a_manifest_without_rows_is_refused(data: bytes, file: str) -> None:
    assert only(cases(data, file)[1]) == f"{file}: The file has no rows."
    assert only(candidates(data, file)[1]) == f"{file}: The file has no rows."


def test_a_csv_of_one_line_has_no_rows() -> None:
    assert only(cases(b"key,source,instruction,task\n", "cases.csv")[1]) == "cases.csv: The file has no rows."


def test_a_key_used_twice_is_refused_by_both_lines() -> None:
    parsed, problems = cases(jsonl([case("one"), case("two"), case("one"), case("one ")]))
    assert problems == [
        "cases.jsonl, line 3, key: The key “one” is already used in line 1.",
        "cases.jsonl, line 4, key: The key “one” is already used in line 1.",
    ]
    assert [row.key for row in parsed.rows] == ["one", "two"]


def test_a_key_is_taken_by_a_row_with_another_problem_too() -> None:
    parsed, problems = cases(jsonl([case("one", task="x"), case("one")]))
    assert len(problems) == 2
    assert parsed.keys == {"one": 1}


def test_every_problem_is_counted_and_the_first_are_kept() -> None:
    limits = Limits(max_problems=3)
    problems = Problems(limits.max_problems)
    rows = [case(str(number), task="x", split="y", source="..") for number in range(10)]
    parse_cases(jsonl(rows), "cases.jsonl", TASKS, limits, problems)
    assert len(problems) == problems.total == 30
    assert [(problem.line, problem.field) for problem in problems] == [(1, "source"), (1, "task"), (1, "split")]
    assert all(problem.sentence for problem in problems)


def test_an_unknown_column_is_named_once() -> None:
    _, problems = cases(jsonl(case(str(number), colour="red") for number in range(5)))
    assert only(problems).startswith("cases.jsonl, line 1: The column “colour” is unknown.")


@pytest.mark.parametrize("file", ["cases.jsonl", "cases.csv"])
def test_too_many_rows_are_refused(file: str) -> None:
    data = (jsonl if file == "cases.jsonl" else as_csv)(case(str(number)) for number in range(4))
    assert not cases(data, file, Limits(max_rows=4))[1]
    parsed, problems = cases(data, file, Limits(max_rows=3))
    assert "The file has more than 3 rows. Import it in parts." in only(problems)
    assert not parsed.whole


def test_hostile_names_are_shown_escaped_and_short() -> None:
    _, problems = cases(jsonl([case() | {"\x1b[2J" + "x" * 10_000: 1}]))
    assert "\\x1b[2J" in only(problems)
    assert "\x1b" not in only(problems)
    assert len(only(problems)) < 500


def test_the_columns_are_the_fields_of_the_rows() -> None:
    assert {*CASE_COLUMNS, "line"} == set(CaseRow.__dataclass_fields__)
    assert {*CANDIDATE_COLUMNS, "line"} == set(CandidateRow.__dataclass_fields__)
