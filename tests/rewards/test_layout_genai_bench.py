from pathlib import Path
from typing import Any

import pytest

from tests.rewards.benches import inside, parquet
from training.rewards.groups import pairs_of
from training.rewards.layouts import LayoutError, layout, layout_names
from training.rewards.layouts.genai_bench import OUTCOMES, read

VOTES = ("leftvote", "rightvote", "tievote", "bothbad_vote")


def row(vote: str, number: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "source_prompt": "a mug",
        "instruct_prompt": f"Add a spoon {number}",
        "source_image": inside(number),
        "left_model": "MagicBrush",
        "left_output_image": inside(100 + number),
        "right_model": "Pix2PixZero",
        "right_output_image": inside(200 + number),
        "vote_type": vote,
        **more,
    }


def bench(folder: Path, *rows: dict[str, Any]) -> Path:
    parquet(folder / "image_edition" / "test_v1-00000-of-00001.parquet", list(rows))
    return folder


def test_votes_become_pairs(tmp_path: Path) -> None:
    items = list(read(bench(tmp_path, *(row(vote, number) for number, vote in enumerate(VOTES)))))
    assert [item.labels["overall"].pairs for item in items] == [((0, 1, outcome),) for outcome in (1, -1, 0, 0)]
    assert [item.labels["overall"].both_bad for item in items] == [frozenset()] * 3 + [frozenset({(0, 1)})]
    assert items[0].source == inside(0)["bytes"]
    assert [(made.editor, made.image) for made in items[1].candidates] == [
        ("magicbrush", inside(101)["bytes"]),
        ("pix2pixzero", inside(201)["bytes"]),
    ]
    assert len({item.key for item in items}) == 4


def test_a_tie_never_becomes_a_preference() -> None:
    assert {vote: OUTCOMES[vote] for vote in ("tievote", "bothbad_vote")} == {"tievote": 0, "bothbad_vote": 0}


def test_two_edits_of_one_editor_differ_by_seed(tmp_path: Path) -> None:
    (item,) = read(bench(tmp_path, row("leftvote", right_model="MagicBrush")))
    assert [(made.editor, made.seed) for made in item.candidates] == [("magicbrush", 0), ("magicbrush", 1)]
    assert [pair.outcome for pair in pairs_of(item.labels["overall"], 1.0)] == [1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vote_type": "A>B"}, "row 2: vote_type is .A>B.; known are leftvote"),
        ({"vote_type": ""}, "row 2: vote_type is missing"),
        ({"instruct_prompt": " "}, "row 2: instruct_prompt is missing"),
        ({"left_output_image": {"bytes": b"", "path": "../../etc/passwd"}}, "row 2: .*(leads out|\\.\\.)"),
        ({"left_output_image": {"bytes": b"", "path": "gone.png"}}, "row 2: there is no file"),
        ({"left_output_image": {"bytes": b"", "path": ""}}, "row 2: a picture is missing"),
    ],
)
def test_refusals_name_the_row(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(LayoutError, match=words):
        list(read(bench(tmp_path, row("tievote"), row("leftvote", **change))))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="none of the files"):
        list(read(tmp_path))
    parquet(tmp_path / "test_v1-0.parquet", [{"prompt": "x"}])
    with pytest.raises(LayoutError, match=r"the column .* is missing"):
        list(read(tmp_path))
    (tmp_path / "test_v1-0.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(LayoutError, match="is damaged"):
        list(read(tmp_path))


def test_the_readers_are_layouts() -> None:
    names = ("genai_bench", "aurora_bench", "imagenhub", "editreward_bench", "editscore_bench", "ebench18k")
    assert set(names) <= set(layout_names())
    for name in names:
        found = layout(name)
        assert name == found.NAME and found.LABEL and found.ABOUT and found.DIMENSIONS
