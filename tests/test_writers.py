"""Tables to files: types, streaming, spreadsheets that would run formulas, and bytes that depend on the rows alone."""

import csv
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scoring.writers import CHUNK, WRITERS, Column, archive, csv_line, write_csv, write_jsonl, write_parquet

COLUMNS = (
    Column("case", "text", "key"),
    Column("n", "integer", "how many"),
    Column("score", "number", "points"),
    Column("tie", "flag", "equal"),
)
ROWS: list[tuple[Any, ...]] = [("a", 1, 0.1, True), ("中文 ✓", -(2**62), 1e-300, False), ("", None, None, None)]


def read_csv(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_it_works(tmp_path: Path) -> None:
    assert {WRITERS[kind](tmp_path / f"t.{kind}", COLUMNS, iter(ROWS)) for kind in WRITERS} == {3}
    names = [column.name for column in COLUMNS]
    assert read_jsonl(tmp_path / "t.jsonl") == [dict(zip(names, row, strict=True)) for row in ROWS]
    assert pq.read_table(tmp_path / "t.parquet").to_pylist() == read_jsonl(tmp_path / "t.jsonl")
    assert read_csv(tmp_path / "t.csv") == [
        names, ["a", "1", "0.1", "true"], ["中文 ✓", str(-(2**62)), "1e-300", "false"], ["", "", "", ""]
    ]  # fmt: skip


def test_parquet_has_the_types_of_the_columns_even_without_rows(tmp_path: Path) -> None:
    for rows in (ROWS, []):
        write_parquet(tmp_path / "t.parquet", COLUMNS, rows)
        schema = pq.read_schema(tmp_path / "t.parquet")
        assert schema.names == [column.name for column in COLUMNS]
        assert schema.types == [pa.string(), pa.int64(), pa.float64(), pa.bool_()]


@pytest.mark.parametrize("kind", WRITERS)
def test_no_rows_make_a_file_that_can_be_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"t.{kind}"
    assert WRITERS[kind](path, COLUMNS, iter([])) == 0
    if kind == "csv":
        assert read_csv(path) == [[column.name for column in COLUMNS]]
    elif kind == "jsonl":
        assert path.read_bytes() == b""
    else:
        assert pq.read_table(path).num_rows == 0


def test_floats_come_back_to_the_last_bit(tmp_path: Path) -> None:
    values = [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0]
    for kind in WRITERS:
        WRITERS[kind](tmp_path / f"t.{kind}", COLUMNS[2:3], [(value,) for value in values])
    assert [float(row[0]) for row in read_csv(tmp_path / "t.csv")[1:]] == values
    assert [row["score"] for row in read_jsonl(tmp_path / "t.jsonl")] == values
    assert pq.read_table(tmp_path / "t.parquet")["score"].to_pylist() == values


@pytest.mark.parametrize("kind", WRITERS)
def test_rows_are_streamed(tmp_path: Path, kind: str) -> None:
    """25,000 rows are never held together: when the last are asked for, the first are in the file already."""
    path, sizes = tmp_path / f"t.{kind}", []

    def rows() -> Iterator[tuple[Any, ...]]:
        for number in range(25_000):
            if number in (0, 24_999):
                sizes.append(path.stat().st_size)
            yield (f"case-{number}", number, number / 7, number % 2 == 0)

    assert WRITERS[kind](path, COLUMNS, rows()) == 25_000
    assert sizes[1] > max(sizes[0], path.stat().st_size // 3)
    if kind == "parquet":
        found = pq.ParquetFile(path)
        assert [found.metadata.row_group(group).num_rows for group in range(3)] == [CHUNK, CHUNK, 5000]
        assert found.read()["n"].to_pylist() == list(range(25_000))
        assert found.metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"])
def test_a_spreadsheet_runs_no_formula(tmp_path: Path, text: str) -> None:
    row = (text, -1, -0.5, False)
    write_csv(tmp_path / "t.csv", COLUMNS, [row])
    assert read_csv(tmp_path / "t.csv")[1] == ["'" + text, "-1", "-0.5", "false"]
    write_jsonl(tmp_path / "t.jsonl", COLUMNS, [row])
    write_parquet(tmp_path / "t.parquet", COLUMNS, [row])
    assert read_jsonl(tmp_path / "t.jsonl")[0]["case"] == text  # data for programs stays as it is
    assert pq.read_table(tmp_path / "t.parquet")["case"].to_pylist() == [text]


def test_a_streamed_line_keeps_figures_and_disarms_words() -> None:
    assert csv_line(["-0.5", "1e-07", "-1+cmd()", "=1", -2, None, True]) == "-0.5,1e-07,'-1+cmd(),'=1,-2,,true\n"


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\rb", 'say "so", he said', "a,b;c\td", " padded ", "\u2028", "'"])
def test_any_text_stays_in_its_cell(tmp_path: Path, text: str) -> None:
    rows = [(text, 1, 1.0, True), ("next", 2, 2.0, False)]
    for kind in WRITERS:
        WRITERS[kind](tmp_path / f"t.{kind}", COLUMNS, rows)
    assert [row[0] for row in read_csv(tmp_path / "t.csv")[1:]] == [text, "next"]
    assert [row["case"] for row in read_jsonl(tmp_path / "t.jsonl")] == [text, "next"]
    assert pq.read_table(tmp_path / "t.parquet")["case"].to_pylist() == [text, "next"]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_row_of_another_length_is_an_error(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ValueError):
        WRITERS[kind](tmp_path / f"t.{kind}", COLUMNS, [("a", 1)])


@pytest.mark.parametrize("kind", WRITERS)
def test_the_same_rows_give_the_same_bytes(tmp_path: Path, kind: str) -> None:
    for name in ("one", "two"):
        WRITERS[kind](tmp_path / name, COLUMNS, ROWS * 5000)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_archive_depends_on_names_and_content_alone(tmp_path: Path) -> None:
    made = []
    for number, mode in enumerate((0o600, 0o755)):
        folder = tmp_path / str(number)
        folder.mkdir()
        files = [folder / "data.csv", folder / "README.md"]
        for file in files:
            file.write_text(file.name * 1000)
            file.chmod(mode)
            os.utime(file, (number * 10**9, number * 10**9))
        archive(folder / "all.zip", files)
        made.append((folder / "all.zip").read_bytes())
        assert not list(folder.glob("*.part"))
    assert made[0] == made[1]
    with zipfile.ZipFile(tmp_path / "0" / "all.zip") as found:
        assert found.namelist() == ["data.csv", "README.md"]
        assert found.read("data.csv") == b"data.csv" * 1000
        assert found.testzip() is None
