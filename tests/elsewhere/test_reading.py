"""Files of every layout become judgements, and what is wrong is named with its place. No database."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.elsewhere import checking, imagenhub, labelstudio, lists, reading, unpacking
from scoring.elsewhere.found import Column, Found, Refused, joined
from scoring.elsewhere.table import Judgements, read_rows, read_scores, write_rows, write_scores
from tests.elsewhere import files
from tests.elsewhere.files import annotation, result, task


def opened(folder: Path, **named: bytes) -> list[unpacking.Plain]:
    folder.mkdir(exist_ok=True)
    return [unpacking.unpack(io.BytesIO(data), name.replace("__", "."), folder / name) for name, data in named.items()]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Found]:
    def reader(data: bytes, *, repeats: bool = False) -> Found:
        return reading.read(opened(tmp_path / "in", file=data), repeats=repeats)

    return reader


def texts(found: Found, name: str) -> list[str]:
    column = found.columns[name]
    return [column.texts()[code] for code in column.codes]


def refused(reader: Callable[..., Found], data: bytes, **more: Any) -> str:
    with pytest.raises(Refused) as error:
        reader(data, **more)
    return "\n".join(error.value.problems)


# What comes out ------------------------------------------------------------------------------------------------------


def test_it_works(read: Callable[..., Found]) -> None:
    found = read(files.ratings())
    assert (found.layout, found.kind, found.rows) == ("Long CSV, ratings", "ratings", 72)
    assert {name: len(column) for name, column in found.columns.items()} == {
        "annotator": 3, "item": 12, "dimension": 2, "group": 4, "editor": 3, "task": 2
    }  # fmt: skip
    assert texts(found, "annotator")[:3] == ["a0", "a1", "a2"] and found.values is not None
    assert found.values[:3].tolist() == [5, 4, 5] and found.told == ()


def test_rankings_with_ties(read: Callable[..., Found]) -> None:
    found = read(files.rankings())
    assert (found.layout, found.kind, found.rows) == ("Long CSV, rankings", "rankings", 18)
    assert found.values is not None and found.values.tolist().count(2) == 3 * 3


def test_gzip_blanks_and_the_mark_of_utf_8_change_nothing(read: Callable[..., Found], tmp_path: Path) -> None:
    plain = files.ratings()
    for data in (files.packed(plain), b"\xef\xbb\xbf" + plain, files.packed(plain[:100]) + files.packed(plain[100:])):
        assert read(data).rows == 72
    (one, other) = (opened(tmp_path / n, data__csv__gz=d)[0] for n, d in (("1", plain), ("2", files.packed(plain))))
    assert one.sha256 == other.sha256 and other.name == "data.csv"


def test_columns_that_are_not_known_are_told(read: Callable[..., Found]) -> None:
    assert read(files.ratings(editer="x", note="y")).told == ("Columns that were passed over: “editer”, “note”.",)


def test_imagenhub_in_long_form(read: Callable[..., Found]) -> None:
    found = read(files.imagenhub_long())
    assert (found.layout, found.kind, found.rows) == ("ImagenHub, long CSV", "ratings", 72)
    assert texts(found, "item")[0] == "T/u0/M1" and texts(found, "group")[0] == "T/u0"
    assert {name: len(column) for name, column in found.columns.items()}["item"] == 12


def test_imagenhub_as_its_raters_wrote_it(tmp_path: Path) -> None:
    three = {f"Text-Guided_IE_rater{n}__tsv": files.imagenhub_tsv(n) for n in range(3)}
    found = reading.read(opened(tmp_path, **three))
    assert (found.layout, found.rows) == (imagenhub.LAYOUT, 3 * 6 * 2 * 2)
    assert found.columns["annotator"].texts() == ["rater0", "rater1", "rater2"]
    assert found.columns["task"].texts() == ["Text-Guided_IE"] and found.columns["dimension"].texts() == ["SC", "PQ"]
    assert found.values is not None and set(found.values) == {0, 0.5, 1}


def test_genai_votes_with_ties(read: Callable[..., Found]) -> None:
    found = read(files.genai())
    assert (found.kind, found.rows, found.values) == ("votes", 5, None)
    assert texts(found, "vote") == ["A", "B", "tie", "both_bad", "A"]
    assert texts(found, "group") == ["0", "0", "1", "1", "2"] and "judges (1)" in found.told[1]


def test_imagereward_rankings_with_ties(read: Callable[..., Found]) -> None:
    found = read(files.imagereward())
    assert (found.kind, found.rows) == ("rankings", 7) and found.values is not None
    assert found.values.tolist() == [1, 2, 2, 4, 3, 1, 2] and texts(found, "group")[4] == "p1"


def test_label_studio_ratings(read: Callable[..., Found]) -> None:
    mail = {"id": 2, "email": "b@x.org"}
    first = annotation(1, result("rating", 4), result("rating", 2, "alignment"))
    other = annotation(1, result("rating", 3), result("choices", ["a"]))
    tasks = [
        task(7, first, annotation(mail, result("rating", 5)), editor="e1", group="g"),
        task(8, other, annotation(2, was_cancelled=True), editor="e2", group="g", item="mine"),
    ]
    found = read(json.dumps(tasks).encode())
    assert (found.layout, found.kind, found.rows) == ("Label Studio, JSON", "ratings", 4)
    assert texts(found, "annotator") == ["1", "1", "2", "1"] and texts(found, "item") == ["7", "7", "7", "mine"]
    assert texts(found, "dimension") == ["quality", "alignment", "quality", "quality"]
    assert texts(found, "editor") == ["e1", "e1", "e1", "e2"] and "b@x.org" not in str(found.columns)
    assert found.told == ("Passed over: 1 × results of type “choices”.", "Passed over: 1 × skipped annotations.")


@pytest.mark.parametrize(
    ("value", "ranks"),
    [
        (["b", "a", "c"], {"b": 1, "a": 2, "c": 3}),
        ({"quality": ["b", "a", "c"]}, {"b": 1, "a": 2, "c": 3}),
        ({"_": [], "quality": ["b", "a"]}, {"b": 1, "a": 2}),
        ({"rank-1": ["b"], "rank-2": ["a", "c"], "_": []}, {"b": 1, "a": 2, "c": 2}),
        ({"1": ["b"], "3": ["a"], "_": ["c"]}, {"b": 1, "a": 3}),
    ],
)
def test_label_studio_rankers(value: Any, ranks: dict[str, int], read: Callable[..., Found]) -> None:
    items = [{"id": name, "title": name, "editor": f"e-{name}"} for name in "abc"]
    found = read(json.dumps([task(1, annotation(5, result("ranker", value)), items=items)]).encode())
    assert found.kind == "rankings" and found.values is not None
    assert dict(zip(texts(found, "candidate"), found.values.tolist(), strict=True)) == {
        f"1/{k}": v for k, v in ranks.items()
    }
    assert texts(found, "editor") == [f"e-{name}" for name in ranks] and set(texts(found, "group")) == {"1"}


def test_images_of_one_task_are_items_of_their_own(read: Callable[..., Found]) -> None:
    results = [result("rating", n + 1, item_index=n) for n in range(2)]
    assert texts(read(json.dumps([task(3, annotation(1, *results))]).encode()), "item") == ["3/0", "3/1"]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y/z"]), st.sampled_from("pq")), min_size=1))
def test_joined_names_say_what_the_columns_say(rows: list[tuple[str, str, str]]) -> None:
    made = joined([Column.of(list(column)) for column in zip(*rows, strict=True)])
    assert [made.texts()[code] for code in made.codes] == ["/".join(row) for row in rows]
    assert len(made) == len(set(rows))


def test_rows_come_back_from_their_file(read: Callable[..., Found], tmp_path: Path) -> None:
    for data in (files.ratings(), files.rankings(), files.genai()):
        found = read(data)
        write_rows(found, tmp_path / "rows")
        with (tmp_path / "rows").open("rb") as file:
            back = read_rows(found.kind, file)
        assert {name: [back.columns[name].texts()[c] for c in back.columns[name].codes] for name in back.columns} == {
            name: texts(found, name) for name in found.columns
        }
        assert back.values is None if found.values is None else np.array_equal(back.values, found.values)


def test_a_part_of_the_scores_is_read_alone(tmp_path: Path) -> None:
    write_scores({"item": [f"i{n}" for n in range(25_000)], "n": list(range(25_000))}, tmp_path / "s")
    with (tmp_path / "s").open("rb") as file:
        rows, total = read_scores(file, 9_998, 4)
    assert (total, [row["n"] for row in rows]) == (25_000, [9_998, 9_999, 10_000, 10_001])
    with (tmp_path / "s").open("rb") as file:
        assert read_scores(file, 30_000, 5) == ([], 25_000)


# What is refused -----------------------------------------------------------------------------------------------------

HEAD = "annotator,item,dimension,score\n"
CSV = [
    (b"", "is empty"),
    (b"hello", "has no layout that is known"),
    (b"annotator,item,score\na,b,1\n", "has no column dimension"),
    (b"annotator;item;dimension;score\na;b;c;1\n", "not separated by commas"),
    (b"annotator,group,dimension,rank\na,g,d,1\n", "has no column candidate"),
    (HEAD.encode(), "a header but no row"),
    (f"{HEAD}a,i,d,5\na,j,d,NaN\n".encode(), "Line 3: score is not a number: 'NaN'"),
    (f"{HEAD}a,i,d,inf\n".encode(), "Line 2: score is not a number: 'inf'"),
    (f"{HEAD}a,i,d,1e300\n".encode(), "Line 2: score 1e300 is too large"),
    (f"{HEAD}a,i,d,\n".encode(), "Line 2: score is empty"),
    (f"{HEAD},i,d,1\n".encode(), "Line 2: annotator is empty"),
    (f"{HEAD}a,i,d\n".encode(), "Line 2: 3 cells, but the header has 4"),
    (f"{HEAD}a,i,d,1\na,\xe9,d,1\n".encode("latin-1"), "Line 3: item is not UTF-8 text"),
    (f"{HEAD}a,i,d,1\n".encode("utf-16"), "is UTF-16"),
    (f"{HEAD}a,i\u202e,d,1\n".encode(), "control character U+202E"),
    (f"{HEAD}a,{'i' * 301},d,1\n".encode(), "It has 301 characters; the limit is 300"),
    (b"annotator,item,dimension,score,item\na,i,d,1,i\n", "column item stands in the header more than once"),
    (f"{HEAD}a,i,d,1\nb,i,d,2\na,i,d,3\n".encode(), "Line 4: “a”, “i”, “d” stand on line 2 already"),
    (
        b"annotator,item,dimension,score,editor\na,i,d,1,x\nb,i,d,1,y\n",
        "Line 3: the item “i” has editor “y” here and “x”",
    ),
    (b"annotator,item,dimension,score,group\na,i,d,1,\n", "Line 2: group is empty"),
    (b"task,uid,model,rater,dim,score\nT,u,M,r,SC,0.7\n", "Line 2: score 0.7 is none of ImagenHub's"),
    (b"annotator,group,dimension,candidate,rank\na,g,d,c,1\na,g,d,c,2\n", "Line 3: “a”, “g”, “d”, “c” stand on line 2"),
    (b"PK\x03\x04rest", "is a zip file"),
    (b"PAR1rest", "is a Parquet file"),
    (files.packed(b"x" * 5000)[:20], "damaged gzip file"),
    (files.packed(files.packed(b"x")), "no layout that is known"),
]


@pytest.mark.parametrize(("data", "said"), CSV, ids=[said[:40] for _data, said in CSV])
def test_tables_that_are_refused(data: bytes, said: str, read: Callable[..., Found]) -> None:
    assert said in refused(read, data)


def test_all_problems_are_counted_and_the_first_are_listed(read: Callable[..., Found]) -> None:
    with pytest.raises(Refused) as error:
        read((HEAD + "a,i,d,x\n" * 30).encode())
    assert (len(error.value.problems), error.value.count) == (20, 30)


def test_repeats_can_be_meant(read: Callable[..., Found]) -> None:
    data = f"{HEAD}a,i,d,1\nb,i,d,2\na,i,d,3\n".encode()
    found = read(data, repeats=True)
    assert found.rows == 3 and found.told[0].startswith(
        "1 judgements repeat an earlier one of the same annotator, item"
    )


@pytest.mark.parametrize("packed", [False, True])
def test_too_much_is_refused(packed: bool, read: Callable[..., Found], monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb is given up at the limit of what it unpacks to, whatever its own size."""
    monkeypatch.setattr(unpacking, "MOST_BYTES" if packed else "MOST_UPLOAD", 3 * unpacking.MIB)
    data = b"\0" * (8 * unpacking.MIB)
    said = refused(read, files.packed(data) if packed else data)
    assert ("unpacks to more than 3 MiB" if packed else "is larger than 3 MiB") in said


def test_too_many_rows_or_names_are_refused(read: Callable[..., Found], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(checking.MOST, "editor", 2)
    assert "3 different values of editor; the limit is 2" in refused(read, files.ratings())
    monkeypatch.undo()
    monkeypatch.setattr(checking, "MOST_ROWS", 71)
    assert "72 judgements; the limit is 71" in refused(read, files.ratings())
    monkeypatch.setattr(checking, "MOST_RANKED", 2)
    assert "has 3 candidates; the limit is 2" in refused(read, files.rankings())
    monkeypatch.undo()
    monkeypatch.setattr(checking, "MOST_PAIRS", 8)
    assert "Up to 9 pairs of annotators share an item" in refused(read, files.ratings())
    assert "has too many rankings of too many candidates" in refused(read, files.rankings())


TSV = [
    ({"A_r1__tsv": b"uid\tM\nu\t[0, 2]\n"}, "A_r1.tsv, line 2, “M”: “[0, 2]” is no pair"),
    ({"A_r1__tsv": b"uid\tM\nu\t[true, 1]\n"}, "is no pair"),
    ({"A_r1__tsv": b"uid\tM\nu\t__import__('os')\n"}, "is no pair"),
    ({"A_r1__tsv": b"uid\tM\nu\t[0, 1]\t[0, 1]\n"}, "line 2: 3 cells; the first line has 2"),
    ({"A_r1__tsv": b"uid\tM\tM\nu\t[0, 1]\t[0, 1]\n"}, "line 1: it needs 1 to 200 different names"),
    ({"A_r1__tsv": b"uid\tM\n\t[0, 1]\n"}, "line 2: uid is empty"),
    ({"A_r1__tsv": b"uid\tM\n"}, "no line with ratings"),
    ({"A_r1__tsv": b"uid\tM\nu\xff\t[0, 1]\n"}, "is not UTF-8"),
    ({"rater1__tsv": b"uid\tM\nu\t[0, 1]\n"}, "name the file TASK_RATER.tsv"),
    (
        {"A_r1__tsv": b"uid\tM\nu\t[0, 1]\nu\t[0, 1]\n"},
        "A_r1.tsv, line 3: “r1”, “A/u/M”, “SC” stand on A_r1.tsv, line 2",
    ),
    ({"a__csv": files.ratings(), "b__csv": files.ratings()}, "Only TSV files of ImagenHub's raters"),
]


@pytest.mark.parametrize(("named", "said"), TSV, ids=[said[:40] for _named, said in TSV])
def test_tsv_files_that_are_refused(named: dict[str, bytes], said: str, tmp_path: Path) -> None:
    with pytest.raises(Refused) as error:
        reading.read(opened(tmp_path, **named))
    assert said in "\n".join(error.value.problems)


def test_two_files_of_one_rater_are_refused(tmp_path: Path) -> None:
    one = opened(tmp_path / "1", A_r1__tsv=files.imagenhub_tsv())
    other = opened(tmp_path / "2", A_r1__tsv=files.imagenhub_tsv(1))
    with pytest.raises(Refused, match="Two files are named A_r1"):
        reading.read([*one, *other])


def studio(*results: Any, by: Any = 1, **more: Any) -> Any:
    return [task(1, annotation(by, *results), **more)]


JSON = [
    ("{", "cannot be read as JSON"),
    ("[" * 100_000, "cannot be read as JSON"),
    ('[{"a": 1, "a": 2}]', "“a” is there twice"),
    ('[{"a": NaN}]', "NaN is no number of JSON"),
    ({"a": 1}, "holds no list"),
    ([], "holds an empty list"),
    ([1], "no layout that is known"),
    ([{"x": 1}], "no layout that is known"),
    ([{"annotation_id": 3, "rating": 4}], "JSON-MIN"),
    ([{"completions": []}], "before 1.0"),
    ([task(1), 5], "Task 2: it must be an object"),
    ([{"id": 1, "annotations": []}], "Task 1: data must be an object"),
    ([task(1), task(1)], "the id is that of task 1 already"),
    ([task(1)], "No annotation has a result"),
    (studio(result("choices", ["a"])), "results of type “choices”"),
    ([task(1, {"completed_by": 1})], "annotation 1: it must be an object with a list"),
    (studio(result("rating", 3), by=None), "completed_by must be"),
    (studio(result("rating", "4")), "rating must be a number"),
    (studio(result("rating", True)), "rating must be a number"),
    (studio(result("rating", -1)), "rating must be a number"),
    (studio(5), "each result must be an object"),
    (studio({"type": "rating", "value": {"rating": 3}}), "from_name is missing"),
    (studio({"type": "rating", "from_name": "q", "value": 3}), "value must be an object"),
    (studio({**result("rating", 3), "value": {"rating": 3, "x": 1, "y": 2}}), "rates a region"),
    (studio(result("rating", 3), result("ranker", ["a", "b"])), "holds ratings and rankings"),
    (studio(result("ranker", {"best": ["a"], "worst": ["b"]})), "the bucket “best” has no rank"),
    (studio(result("ranker", {"rank-1": "a"})), "must be a list of ids"),
    (studio(result("ranker", ["a", "a"])), "an item stands there twice"),
    (studio(result("ranker", [None])), "an id must be a text"),
    (studio(result("ranker", 3)), "value.ranker must be a list"),
    (studio(result("rating", 3), result("rating", 4)), "annotation 1: “1”, “1”, “quality” stand on task 1"),
    ([*studio(result("rating", 3), editor="e"), task(2, annotation(1, result("rating", 3)))], "editor is missing"),
    ([{"human_vote": "left", "idx": 1, "model_votes": {"j": None}}], "Row 1: human_vote is “left”"),
    ([{"id": "a", "generations": ["x", "y"], "ranking": [1]}], "Row 1: 2 generations, but 1 ranks"),
    ([{"id": "a", "generations": ["x", "x"], "ranking": [1, 2]}], "each of them once"),
    ([{"id": "a", "generations": ["x", "y"], "ranking": [1, 0]}], "must be a whole number from 1"),
    ([{"id": "a", "generations": ["x", ""], "ranking": [1, 2]}], "must be a text of 1 to 300"),
    ([{"id": "a", "generations": [], "ranking": []}], "must be lists with an entry"),
    ([{"id": "a", "generations": ["x"], "ranking": [1]}] * 2, "the id “a” is that of row 1 already"),
    ([{"id": None, "generations": ["x"], "ranking": [1]}], "id must be a text"),
    ([{"id": "a", "generations": ["x"], "ranking": [1]}, 4], "Row 2: it must be an object"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "said"), JSON, ids=[said[:40] for _given, said in JSON])
def test_json_that_is_refused(given: Any, said: str, read: Callable[..., Found]) -> None:
    assert said in refused(read, (given if isinstance(given, str) else json.dumps(given)).encode())


def test_large_json_is_refused(read: Callable[..., Found], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_JSON", 10)
    assert "the limit for JSON" in refused(read, files.genai())
    monkeypatch.undo()
    monkeypatch.setattr(reading, "MOST_OBJECTS", 4)
    assert "5 objects; the limit is 4" in refused(read, files.genai())


@pytest.mark.parametrize(("layout", "module"), [("studio", labelstudio), ("reward", lists)])
def test_json_of_too_many_ranks(
    layout: str, module: Any, read: Callable[..., Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = json.dumps(studio(result("ranker", ["a", "b", "c"]))).encode() if layout == "studio" else files.imagereward()
    monkeypatch.setattr(module, "MOST_RANKS", 2)
    assert "more than 2 ranks, the limit for JSON. Use long CSV" in refused(read, data)


def test_a_file_of_many_kinds_of_results_is_told_in_few_sentences(read: Callable[..., Found]) -> None:
    kinds = [{**result("x", 1), "type": f"kind{number:02}"} for number in range(30)]
    found = read(json.dumps([task(1, annotation(5, result("rating", 3), *kinds, kinds[29]))]).encode())
    assert len(found.told) == 21 and "Passed over: 2 × results of type “kind29”." in found.told
    assert found.told[-1] == "Passed over: 10 more kinds of results."
    said = refused(read, json.dumps([task(1, annotation(5, *kinds))]).encode())
    assert "kind19" in said and "kind20" not in said


def test_json_that_is_not_utf_8(read: Callable[..., Found]) -> None:
    assert "not UTF-8 text (byte 2)" in refused(read, b'["\xff"]'.replace(b'"', b"", 1))


def test_no_file_and_too_many(tmp_path: Path) -> None:
    (one,) = opened(tmp_path, A_r1__tsv=files.imagenhub_tsv())
    for given_, said in (([], "no file"), ([one] * 61, "61 files; the limit is 60")):
        with pytest.raises(Refused, match=said):
            reading.read(given_)


def test_judgements_know_an_items_editor(read: Callable[..., Found]) -> None:
    found = read(files.ratings())
    judged = Judgements(found.kind, found.columns, found.values)
    editor = judged.of("item", "editor")
    assert editor is not None and judged.of("item", "split") is None
    named = zip(found.columns["item"].texts(), editor, strict=True)
    assert all(item.endswith(found.columns["editor"].texts()[code]) for item, code in named)
