"""Others' files read into groups: what each layout makes of them, and what it refuses, with file and line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import png
from training.rewards.groups import Labels, pairs_of
from training.rewards.layouts import Item, LayoutError, editreward, layout, layout_names
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
