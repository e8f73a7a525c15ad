from pathlib import Path
from typing import Any

import pytest

from tests.rewards.benches import as_json, png, put
from training.rewards.layouts import LayoutError
from training.rewards.layouts.aurora_bench import read


def pair(folder: Path, winner: str, **more: Any) -> dict[str, Any]:
    put(folder, "in/1.png", 1)
    gens = [put(folder, "gen/a.png", 2), put(folder, "gen/b.png", 3)]
    row = {"prompt": "Close the door", "input": "in/1.png", "gens": gens, "models": ["Aurora", "MagicBrush"]}
    return {**row, "winner": winner, **more}


def point(folder: Path, number: int, score: Any, **more: Any) -> dict[str, Any]:
    put(folder, "in/1.png", 1)
    name = put(folder, f"gen/p{number}.png", 10 + number)
    row = {"prompt": "Close the door", "input": "in/1.png", "gen": name, "score": score, "model": f"m{number}"}
    return {**row, **more}


def test_winners_and_ties(tmp_path: Path) -> None:
    rows = [pair(tmp_path, winner) for winner in ("Aurora", "MagicBrush", "tie")]
    as_json(tmp_path / "human_ratings_pairwise.json", rows)
    items = list(read(tmp_path))
    assert [item.labels["overall"].pairs[0] for item in items] == [(0, 1, 1), (0, 1, -1), (0, 1, 0)]
    assert [made.editor for made in items[0].candidates] == ["aurora", "magicbrush"]
    assert items[0].source.read_bytes() == png(1)  # type: ignore[union-attr]


def test_scores_of_one_case_are_one_group(tmp_path: Path) -> None:
    rows = [point(tmp_path, 0, 2), point(tmp_path, 1, 0.5), point(tmp_path, 2, 1, prompt="Open it")]
    as_json(tmp_path / "human_ratings.json", rows)
    first, second = read(tmp_path)
    assert (first.labels["overall"].mos, second.labels["overall"].mos) == ((2.0, 0.5), (1.0,))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"winner": "Nobody"}, "entry 1: the winner is .Nobody."),
        ({"models": ["A", "A"], "winner": "A"}, "two different models"),
        ({"gens": ["gen/a.png"]}, "gens must be a list of two"),
        ({"input": "../secret.png"}, "entry 1"),
        ({"input": "/etc/passwd"}, "entry 1"),
        ({"gens": ["gen/a.png", "gen/no.png"]}, "there is no file"),
    ],
)
def test_wrong_pairs_are_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    as_json(tmp_path / "human_ratings_pairwise.json", [{**pair(tmp_path, "tie"), **change}])
    with pytest.raises(LayoutError, match=words):
        list(read(tmp_path))


@pytest.mark.parametrize("score", [3, -1, None, "much", True])
def test_wrong_scores_are_refused(tmp_path: Path, score: Any) -> None:
    as_json(tmp_path / "human_ratings.json", [point(tmp_path, 0, score)])
    with pytest.raises(LayoutError, match="entry 1: score"):
        list(read(tmp_path))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match=r"human_ratings_pairwise.json"):
        list(read(tmp_path))
