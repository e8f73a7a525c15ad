"""Reading CSV files: what is read, and every refusal with its line number."""

from pathlib import Path

import pytest

from scoring.stats import csvfile
from scoring.stats.csvfile import LISTED, BadTable, read_csv
from scoring.stats.table import Rankings, Ratings

HEADER = "annotator,item,dimension,score\n"
KEYS = ("annotator", "item", "dimension")


def rows_of(ratings: Ratings) -> list[tuple[str, str, str, float]]:
    names = [ratings.annotators.to_pylist(), ratings.items.to_pylist(), ratings.dimensions.to_pylist()]
    codes = zip(ratings.annotator, ratings.item, ratings.dimension, ratings.score.tolist(), strict=True)
    return [(names[0][a], names[1][i], names[2][d], score) for a, i, d, score in codes]


def read(tmp_path: Path, content: str | bytes) -> list[tuple[str, str, str, float]]:
    path = tmp_path / "ratings.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return rows_of(Ratings.from_csv(path))


def refusal(tmp_path: Path, content: str | bytes) -> list[str]:
    with pytest.raises(BadTable) as caught:
        read(tmp_path, content)
    return [str(problem) for problem in caught.value.problems]


def test_it_works(tmp_path: Path) -> None:
    assert read(tmp_path, HEADER + "ann,x,quality,3.5\nbob,x,quality,4\nann,y,quality,1e0\n") == [
        ("ann", "x", "quality", 3.5),
        ("bob", "x", "quality", 4.0),
        ("ann", "y", "quality", 1.0),
    ]


def test_columns_in_any_order_and_others_ignored(tmp_path: Path) -> None:
    assert read(tmp_path, "note, score ,item,annotator,dimension\n,2,x,ann,q\n") == [("ann", "x", "q", 2.0)]


def test_quotes_commas_newlines_bom_and_crlf(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf"annotator",item,dimension,score\r\n"ann, b","x\r\n""1""",q,"3"\r\n\r\nb\xc3\xa9,y,q,4\r\n'
    assert read(tmp_path, content) == [("ann, b", 'x\r\n"1"', "q", 3.0), ("bé", "y", "q", 4.0)]


def test_numbers_that_only_the_exact_path_reads(tmp_path: Path) -> None:
    assert read(tmp_path, HEADER + "a,x,q,+3\nb,x,q, 4 \n") == [("a", "x", "q", 3.0), ("b", "x", "q", 4.0)]


def test_both_paths_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    lines = [f'a{n % 7},"i,{n % 11}",d{n % 3},{n / 8}' for n in range(500)]
    path.write_text(HEADER + "\n".join(lines))
    header = csvfile._read_header(path, [*KEYS, "score"])
    fast = rows_of(Ratings._from_table(csvfile._read_fast(path, header, KEYS, "score")))
    exact = rows_of(Ratings._from_table(csvfile._read_exactly(path, header, KEYS, "score")))
    assert fast == exact == read(tmp_path, path.read_text())
    assert len(fast) == 500


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("NaN", "score is not a number: 'NaN'"),
        ("inf", "score is not a number: 'inf'"),
        ("-Infinity", "score is not a number: '-Infinity'"),
        ("abc", "score is not a number: 'abc'"),
        ("1_000", "score is not a number: '1_000'"),
        ("٣", "score is not a number: '٣'"),
        ("0x10", "score is not a number: '0x10'"),
        ('"3,5"', "score is not a number: '3,5'"),
        ("", "score is empty"),
        ("  ", "score is empty"),
        ("1e300", "score 1e300 is too large (the limit is 1e+15)"),
        ("1e999", "score 1e999 is too large (the limit is 1e+15)"),
    ],
)
def test_bad_score(tmp_path: Path, cell: str, reason: str) -> None:
    assert refusal(tmp_path, HEADER + f"a,x,q,1\na,y,q,{cell}\n") == [f"line 3: {reason}"]


@pytest.mark.parametrize("column", KEYS)
@pytest.mark.parametrize("cell", ["", "  ", '""'])
def test_empty_key(tmp_path: Path, column: str, cell: str) -> None:
    cells = {"annotator": "a", "item": "x", "dimension": "q"} | {column: cell}
    assert refusal(tmp_path, HEADER + "a,x,q,1\n" + ",".join(cells.values()) + ",2\n") == [f"line 3: {column} is empty"]


def test_line_numbers_count_lines_within_quotes_and_blank_lines(tmp_path: Path) -> None:
    content = HEADER + 'a,"two\nlines",q,1\n\nb,x,q,bad\nc,"one\nmore",q,\n'
    assert refusal(tmp_path, content) == ["line 5: score is not a number: 'bad'", "line 6: score is empty"]


def test_too_few_and_too_many_cells(tmp_path: Path) -> None:
    assert refusal(tmp_path, HEADER + "a,x,q\na,x,q,1,2\n") == [
        "line 2: 3 cells, but the header has 4",
        "line 3: 5 cells, but the header has 4",
    ]


def test_only_the_first_problems_are_listed_and_all_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(HEADER + "a,x,q,1\n" + "a,x,q,?\n" * 50)
    with pytest.raises(BadTable) as caught:
        Ratings.from_csv(path)
    assert caught.value.count == 50
    assert [problem.line for problem in caught.value.problems] == list(range(3, 3 + LISTED))


def test_missing_columns_are_named(tmp_path: Path) -> None:
    assert refusal(tmp_path, "annotator;item;score\n") == [
        "line 1: no column annotator, item, dimension, score; needed: annotator,item,dimension,score; "
        "the header is: annotator;item;score"
    ]
    assert "no column dimension;" in refusal(tmp_path, "annotator,item,score\na,x,1\n")[0]


def test_column_twice(tmp_path: Path) -> None:
    found = refusal(tmp_path, "annotator,item,dimension,score,score\na,x,q,1,2\n")
    assert found == ["line 1: column score stands in the header more than once"]


def test_empty_file_and_header_only(tmp_path: Path) -> None:
    assert "the file is empty" in refusal(tmp_path, "")[0]
    assert "the file is empty" in refusal(tmp_path, "\n\n")[0]
    assert refusal(tmp_path, HEADER) == ["there is a header but no row under it"]
    assert refusal(tmp_path, HEADER + "\n\n") == ["there is a header but no row under it"]


def test_not_utf8(tmp_path: Path) -> None:
    assert refusal(tmp_path, HEADER.encode() + b"a,x,q,1\n\xe9,x,q,2\n") == ["line 3: annotator is not UTF-8 text"]
    assert "score is not a number" in refusal(tmp_path, HEADER.encode() + b"a,x,q,\xff\n")[0]
    assert refusal(tmp_path, HEADER.encode("utf-16")) == ["the file is UTF-16; save it as UTF-8"]
    assert "the header is not UTF-8 text" in refusal(tmp_path, b"\x1f\x8b\x08\x00\x99\n")[0]


def test_quote_that_never_closes(tmp_path: Path) -> None:
    assert refusal(tmp_path, HEADER + 'a,x,q,1\nb,"y,q,2\nc,z,q,3\n')[0].startswith("line 3: ")
    assert "cannot be read" in refusal(tmp_path, HEADER + 'a,"y' + "y" * 200_000)[0]


def test_folder_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadTable, match="not a regular file"):
        Ratings.from_csv(tmp_path)
    with pytest.raises(FileNotFoundError):
        Ratings.from_csv(tmp_path / "absent.csv")


def test_rankings_need_their_own_columns(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("annotator,group,dimension,candidate,rank\na,g,q,x,1\na,g,q,y,2\n")
    assert Rankings.from_csv(path).rank.tolist() == [1.0, 2.0]
    with pytest.raises(BadTable, match="no column item, score"):
        Ratings.from_csv(path)


def test_rows_in_memory(tmp_path: Path) -> None:
    rows = [("a", 17, "q", 3), ("b", 17, "q", "4.5")]
    assert rows_of(Ratings.from_rows(rows)) == [("a", "17", "q", 3.0), ("b", "17", "q", 4.5)]
    assert rows_of(Ratings.from_rows([])) == []


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("a", "x", "q", float("nan")), "line 2: score is not a number: 'nan'"),
        (("a", "x", "q", None), "line 2: score is not a number: 'None'"),
        (("", "x", "q", 3), "line 2: annotator is empty"),
        (("a", "x\udce9", "q", 3), "line 2: item is not UTF-8 text"),
    ],
)
def test_bad_row_in_memory(row: tuple[object, object, object, object], reason: str) -> None:
    with pytest.raises(BadTable, match=reason):
        Ratings.from_rows([("a", "x", "q", 3), row])


def test_names_are_kept_apart_exactly_as_written(tmp_path: Path) -> None:
    assert {row[0] for row in read(tmp_path, HEADER + "a,x,q,1\nA,x,q,1\na ,x,q,1\n")} == {"a", "A", "a "}


def test_read_csv_gives_codes_in_order_of_appearance(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(HEADER + "b,x,q,1\na,x,q,1\nb,y,q,1\n")
    table = read_csv(path, KEYS, "score")
    assert table.names["annotator"].to_pylist() == ["b", "a"]
    assert table.codes["annotator"].tolist() == [0, 1, 0]
