"""Others' files read into groups: what each layout makes of them, and what it refuses, with file and line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import png
from training.rewards import reading
from training.rewards.groups import Labels, pairs_of
from training.rewards.layouts import Item, LayoutError, _reading, editreward, layout, layout_names
from training.rewards.layouts import edithf as edithf_layout
from training.rewards.layouts import pairs as pair_files

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Files beneath a folder: text as it is, None for a picture."""

    def make(**files: Any) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(len(name)) if content is None else content.encode())
        return tmp_path

    return make


def read(name: str, folder: Path) -> list[Item]:
    return list(layout(name).read(folder))


# EditReward-Data -----------------------------------------------------------------------------------------------------


def row(**changes: Any) -> dict[str, Any]:
    values = {
        "key": "k1", "unique_key": "u", "pair_index": 0, "instruction": "Make it red",
        "source_img": {"bytes": png(1), "path": "s.png"}, "left_output_image": {"bytes": png(2), "path": None},
        "right_output_image": {"bytes": png(3), "path": None},
        "left_model": "qwen_edit_seed2025", "right_model": "bagel", "left_overall_score": 6.0,
        "left_instruction_following_score": 4.0, "left_quality_aesthetic_score": 2.0, "right_overall_score": 5.0,
        "right_instruction_following_score": 1.0, "right_quality_aesthetic_score": 4.0, "vote_type": "leftvote",
    }  # fmt: skip
    return {**values, **changes}


def parquet(folder: Path, *rows: dict[str, Any], name: str = "data/train-0.parquet") -> Path:
    (folder / "data").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), folder / name, row_group_size=2)
    return folder


def test_editreward_parquet_makes_groups_of_its_pairs(tmp_path: Path) -> None:
    third = {"right_model": "omnigen2_seed7", "right_output_image": {"bytes": png(4), "path": None}}
    rows = [
        row(),
        row(key="k2", instruction="Other"),
        row(**third, right_instruction_following_score=4.0, right_quality_aesthetic_score=None),
    ]
    first, second = read("editreward", parquet(tmp_path, *rows))
    assert (first.key, first.source, first.instruction, first.split, first.task) == (
        "k1",
        png(1),
        "Make it red",
        "",
        "",
    )
    assert [(one.editor, one.seed, one.image) for one in first.candidates] == [
        ("qwen_edit", 2025, png(2)), ("bagel", 0, png(3)), ("omnigen2", 7, png(4)),
    ]  # fmt: skip
    assert first.labels["following"].mos == (4, 1, 4)
    assert first.labels["quality"].mos == (2, 4, None)
    outcomes = [(pair.first, pair.second, pair.outcome) for pair in pairs_of(first.labels["following"], 3)]
    assert outcomes == [(0, 1, 1), (0, 2, 0), (1, 2, -1)]
    assert second.key == "k2"


def test_editreward_paths_are_the_same_in_words(write: Write) -> None:
    entry = {
        "prompt": "Make it red", "path_src": "k/source.png", "path1": "k/a.png", "path2": "k/b.png",
        "model1": "ovis_u1", "model2": "bagel_seed3", "model1_dim1_score": 4, "model1_dim2_score": 2,
        "model2_dim1_score": 4, "model2_dim2_score": 3, "tie_case": False, "confidence": None,
    }  # fmt: skip
    files = {"k/source.png": None, "k/a.png": None, "k/b.png": None}
    folder = write(**files, **{"train.json": json.dumps([entry, entry]), "test.json": json.dumps([entry])})
    held_out, trained = read("editreward", folder)
    assert (held_out.split, trained.split) == ("test", "train")
    assert trained.labels == {"following": Labels(mos=(4, 4)), "quality": Labels(mos=(2, 3))}
    assert [one.editor for one in trained.candidates] == ["ovis_u1", "bagel"]
    assert trained.source == folder / "k/source.png"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"left_instruction_following_score": 9.0}, r"train-0.parquet, row 1: .*from 1 to 4; it is '9.0'"),
        ({"right_quality_aesthetic_score": float("nan")}, "row 1: .*from 1 to 4"),
        ({"instruction": "  "}, "row 1: instruction is missing"),
        ({"instruction": "a\x00b"}, "control character"),
        ({"left_output_image": {"bytes": b"", "path": "x"}}, "row 1: left_output_image holds no picture"),
    ],
)
def test_editreward_refuses(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(LayoutError, match=words):
        read("editreward", parquet(tmp_path, row(**changes)))


def test_editreward_refuses_files_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match=r"neither a .parquet file nor"):
        read("editreward", tmp_path)
    few = {name: value for name, value in row().items() if name != "left_model"}
    with pytest.raises(LayoutError, match=r"the column left_model is missing. There are: instruction"):
        read("editreward", parquet(tmp_path, few))
    (tmp_path / "data/train-0.parquet").write_bytes(b"PAR1 is how it begins")
    with pytest.raises(LayoutError, match=r"train-0.parquet is no parquet file"):
        read("editreward", tmp_path)


def test_pictures_are_found_whatever_the_order_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows are held: groups that lie apart make the reader go back."""
    monkeypatch.setattr(reading, "AT_ONCE", 2)
    rows = [
        row(key=f"k{n % 3}", left_model=f"m{n}", left_output_image={"bytes": png(n), "path": None}) for n in range(9)
    ]
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data/train-0.parquet", row_group_size=5)
    for place, item in enumerate(read("editreward", tmp_path)):
        images = {one.editor: one.image for one in item.candidates}
        assert {f"m{n}": png(n) for n in range(place, 9, 3)}.items() <= images.items()


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"MAX_ROWS": 2}, r"train-0.parquet: there are more than 2 rows. Import them in parts"),
        ({"MAX_BLOCK": 100}, r"train-0.parquet: row group 1 has .* Save the table with fewer rows in a row group"),
    ],
)
def test_a_parquet_that_is_too_large_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: dict[str, int], words: str
) -> None:
    folder = parquet(tmp_path, row(), row(), row())
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *_arguments, **_more: 1 / 0)
    for name, value in limit.items():
        monkeypatch.setattr(reading, name, value)
    with pytest.raises(LayoutError, match=words):
        read("editreward", folder)
    with pytest.raises(LayoutError, match=words):
        list(_reading.table_lines([folder / "data/train-0.parquet"], ["key"]))


def test_the_rows_of_all_parquet_files_together_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(tmp_path, row(), row())
    monkeypatch.setattr(reading, "MAX_ROWS", 3)
    with pytest.raises(LayoutError, match="files have more than 3 rows"):
        read("editreward", parquet(tmp_path, row(), row(), name="data/train-1.parquet"))


# EditHF-1M -----------------------------------------------------------------------------------------------------------

HEAD = "edited,instruction,quality,alignment,preservation\n"
PICTURES = {"source/add/1.jpg": None, "edited/one/add/1.jpg": None, "edited/two/add/1.jpg": None}


def test_edithf_joins_scores_and_ranks(write: Write) -> None:
    scores = HEAD + "edited/one/add/1.jpg,Add a hat,70.5,60,50\nedited/two/add/1.jpg,Add a hat,30,,55\n"
    ranks = HEAD + "edited/two/add/1.jpg,Add a hat,1,1.5,2\nedited/one/add/1.jpg,Add a hat,2,1.5,1\n"
    (found,) = read("edithf", write(**PICTURES, **{"scores/test.csv": scores, "rank/train.csv": ranks}))
    assert (found.split, found.task, found.key) == ("test", "add", "source/add/1")  # the stricter of its splits
    assert [one.editor for one in found.candidates] == ["one", "two"]
    assert found.labels["quality"] == Labels(ranks=(2, 1), mos=(70.5, 30))
    assert found.labels["alignment"] == Labels(ranks=(1.5, 1.5), mos=(60, None))


def test_edithf_takes_other_names_of_columns(write: Write) -> None:
    columns = {"edited": "path", "instruction": "prompt", "quality": "MOS_visual"}
    scores = "path,prompt,MOS_visual\nedited/one/add/1.jpg,Add,10\nedited/two/add/1.jpg,Add,20\n"
    folder = write(**PICTURES, **{"scores/train.csv": scores, "columns.json": json.dumps(columns)})
    (found,) = read("edithf", folder)
    assert found.labels["quality"].mos == (10, 20) and found.labels["alignment"] == Labels()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("edited,instruction\nedited/one/add/1.jpg,Add\n", "scores/train.csv|no column of a dimension"),
        ("edited,quality\nedited/one/add/1.jpg,3\n", "line 2: the column instruction is missing"),
        (
            HEAD + "edited/one/add/1.jpg,Add,101,1,1\n",
            r"scores/train.csv, line 2: quality .*from 0 to 100; it is '101'",
        ),
        (HEAD + "../../etc/passwd,Add,1,1,1\n", "leaves the import"),
        (HEAD + "/etc/passwd,Add,1,1,1\n", "absolute"),
        (HEAD + "edited/none/add/1.jpg,Add,1,1,1\n", "there is no file 'edited/none/add/1.jpg'"),
        (HEAD + "edited/one/add/1.jpg,Add,1,1,1,7\n", "line 2: this row has not as many cells"),
        (HEAD + "edited/one/add/1.jpg,Add,1,1,1\n" * 2, "line 3: this image has a row"),
        (HEAD, "have no rows"),
    ],
)
def test_edithf_refuses(write: Write, table: str, words: str) -> None:
    with pytest.raises(LayoutError, match=words):
        read("edithf", write(**PICTURES, **{"scores/train.csv": table}))


def test_edithf_refuses_columns_it_does_not_know(write: Write) -> None:
    folder = write(**PICTURES, **{"scores/train.csv": HEAD, "columns.json": '{"beauty": "x"}'})
    with pytest.raises(LayoutError, match=r"columns.json: beauty is not known. Names here: edited"):
        read("edithf", folder)
    with pytest.raises(LayoutError, match=r"There is no scores/train.csv"):
        read("edithf", write().parent / "none")


# Pairs ---------------------------------------------------------------------------------------------------------------

IMAGES = {"s.png": None, "a.png": None, "b.png": None, "c.png": None}


def test_pairs_with_ties_both_bad_and_several_verdicts(write: Write) -> None:
    rows = [
        {"source": "s.png", "instruction": "Add", "a": "a.png", "b": "b.png", "verdict": "a", "task": "add"},
        {"source": "s.png", "instruction": "Add", "a": "b.png", "b": "a.png", "verdict": "B"},
        {"source": "s.png", "instruction": "Add", "a": "b.png", "b": "a.png", "verdict": "tie"},
        {"source": "s.png", "instruction": "Add", "a": "b.png", "b": "c.png", "verdict": "both_bad", "editor_b": "x"},
        {"source": "s.png", "instruction": "Add", "a": "c.png", "b": "a.png", "verdict": "a", "dimension": "quality"},
    ]
    folder = write(**IMAGES, **{"pairs.jsonl": "".join(json.dumps(one) + "\n" for one in rows)})
    (found,) = read("pairs", folder)
    assert found.labels["overall"] == Labels(pairs=((0, 1, 1), (1, 2, 0)), both_bad=frozenset({(1, 2)}))
    assert found.labels["quality"] == Labels(pairs=((0, 2, -1),))
    assert [one.editor for one in found.candidates] == ["unknown", "unknown", "x"]
    assert (found.task, found.split) == ("add", "")


def test_pairs_as_csv(write: Write) -> None:
    table = "\ufeffsource,instruction,a,b,verdict,split\ns.png,Add,a.png,b.png,b,validation\n"
    (found,) = read("pairs", write(**IMAGES, **{"pairs.csv": table}))
    assert found.labels["overall"].pairs == ((0, 1, -1),) and found.split == "dev"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("s.png,Add,a.png,b.png,maybe", "pairs.csv, line 2: verdict must be a, b, tie, both_bad; it is 'maybe'"),
        ("s.png,Add,a.png,a.png,a", "line 2: a and b are the same file"),
        ("s.png,Add,a.png,gone.png,a", "line 2: there is no file 'gone.png'"),
        ("s.png,Add,a.png,../b.png,a", "leaves the import"),
        ("s.png,,a.png,b.png,a", "instruction is missing"),
        ("s.png,Add,a.png", "not as many cells"),
        ('s.png,"Add,a.png,b.png,a', "the CSV cannot be read"),
    ],
)
def test_pairs_refuse(write: Write, line: str, words: str) -> None:
    folder = write(**IMAGES, **{"pairs.csv": f"source,instruction,a,b,verdict\n{line}\n"})
    with pytest.raises(LayoutError, match=words):
        read("pairs", folder)


def test_a_link_out_of_the_folder_is_not_followed(write: Write, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.png"
    outside.write_bytes(png(9))
    folder = write(**IMAGES, **{"pairs.csv": "source,instruction,a,b,verdict\ns.png,Add,a.png,link.png,a\n"})
    (folder / "link.png").symlink_to(outside)
    with pytest.raises(LayoutError, match="leads out of the folder"):
        read("pairs", folder)


@pytest.mark.parametrize(
    ("name", "table"), [("pairs", "pairs.csv"), ("edithf", "scores/train.csv"), ("editreward", "train.json")]
)
def test_a_table_behind_a_link_is_not_read(
    write: Write, tmp_path_factory: pytest.TempPathFactory, name: str, table: str
) -> None:
    """Neither the table itself nor its folder may be a link."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / Path(table).name).write_text("secret\n[]")
    folder = write(**IMAGES)
    (folder / table).parent.mkdir(exist_ok=True)
    (folder / table).symlink_to(outside / Path(table).name)
    with pytest.raises(LayoutError, match=r"is a link|neither a \.parquet"):
        read(name, folder)
    if "/" in table:
        (folder / table).unlink()
        (folder / table).parent.rmdir()
        (folder / table).parent.symlink_to(outside)
        with pytest.raises(LayoutError, match="leads out of the folder"):
            read(name, folder)
    assert _reading.found(folder, "*/*.csv") == []


def test_keys_of_cases_are_never_the_same(write: Write) -> None:
    files = {**IMAGES, "s-2.png": None}
    rows = [f"s.png,Add,a.png,b.png,a\ns.png,Remove,a.png,b.png,a\n{'s-2.png,Add,a.png,b.png,a'}\n"]
    folder = write(**files, **{"pairs.csv": "source,instruction,a,b,verdict\n" + "".join(rows)})
    assert [item.key for item in read("pairs", folder)] == ["s", "s-2", "s-2-2"]
    entry = {"path1": "a.png", "path2": "b.png", "model1": "x", "model2": "y"} | dict.fromkeys(
        [f"model{side}_dim{number}_score" for side in (1, 2) for number in (1, 2)], 2
    )
    asked = [("s.png", "Add"), ("s.png", "Remove"), ("s-2.png", "Add")]
    table = json.dumps([{**entry, "path_src": source, "prompt": text} for source, text in asked])
    assert [item.key for item in read("editreward", write(**{"train.json": table}))] == ["s", "s-2", "s-2-2"]


def test_edithf_keys_are_never_the_same(write: Write) -> None:
    more = {"source/add/1-2.jpg": None, "edited/one/add/1-2.jpg": None}
    scores = HEAD + "edited/one/add/1.jpg,Add,1,1,1\nedited/two/add/1.jpg,Put,1,1,1\nedited/one/add/1-2.jpg,Add,1,1,1\n"
    found = read("edithf", write(**PICTURES, **more, **{"scores/train.csv": scores}))
    assert [item.key for item in found] == ["source/add/1", "source/add/1-2", "source/add/1-2-2"]


def test_json_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    """U+2028 may stand in a JSON string as it is."""
    path = tmp_path / "x.json"
    path.write_bytes('{"text": "one\u2028two"}\r\n\n{"text": "four"}\n'.encode())
    lines = [(line.text("text"), line.where) for line in _reading.json_lines(path)]
    assert lines == [("one\u2028two", "x.json, line 1"), ("four", "x.json, line 3")]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "There is no table pairs.csv"),
        ({"pairs.csv": "a", "pairs.json": "[]"}, "There is more than one table"),
        ({"pairs.json": "{}"}, "must be a list of objects"),
        ({"pairs.json": "[1]"}, "entry 1: this is no JSON object"),
        ({"pairs.json": "[]"}, "has no rows"),
        ({"pairs.jsonl": "{oops\n"}, "pairs.jsonl, line 1: this cannot be read as JSON"),
    ],
)
def test_pairs_refuse_other_files(write: Write, files: dict[str, str], words: str) -> None:
    with pytest.raises(LayoutError, match=words):
        read("pairs", write(**files))


def test_what_is_not_utf8_is_named(write: Write) -> None:
    folder = write(**IMAGES)
    (folder / "pairs.csv").write_bytes(b"source,instruction,a,b,verdict\ns.png,\xff,a.png,b.png,a\n")
    with pytest.raises(LayoutError, match="is not UTF-8"):
        read("pairs", folder)


def test_layouts_are_found_by_their_files() -> None:
    assert {"editreward", "edithf", "pairs"} <= set(layout_names())
    for module in (editreward, edithf_layout, pair_files):
        assert layout(module.NAME) is module and module.LABEL and module.ABOUT and module.DIMENSIONS
    with pytest.raises(LayoutError, match=r"There is no layout '../os'"):
        layout("../os")
