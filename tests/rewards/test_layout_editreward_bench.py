from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.rewards.benches import as_json, inside, parquet, put
from training.rewards.groups import pairs_of
from training.rewards.layouts import Item, LayoutError
from training.rewards.layouts.editreward_bench import read

LETTERS = "ABCD"


def rows_of(name: str, order: str, kind: int, **more: Any) -> list[dict[str, Any]]:
    """The pairs of a tuple, as the published tables hold them; ``order``: best first."""
    found = []
    for one, other in combinations(LETTERS[:kind], 2):
        better, worse = sorted((one, other), key=order.index)
        found.append(
            {
                "id": f"{name}_{one}{other}" if kind > 2 else name,
                "dataset": f"{kind}pair",
                "instruction": "Make it red",
                "source_image": inside(1),
                "candidate_1": inside(LETTERS.index(one) + 10),
                "candidate_2": inside(LETTERS.index(other) + 10),
                "comparison_type": f"{one}vs{other}",
                "ranking": f"{better}>{worse}",
                "model_1": f"model {one}",
                "model_2": f"model {other}",
                **more,
            }
        )
    return found


def outcomes(item: Item) -> dict[tuple[int, int], int]:
    return {(pair.first, pair.second): pair.outcome for pair in pairs_of(item.labels["overall"], 3.0)}


def test_tuples_of_two_three_and_four(tmp_path: Path) -> None:
    parquet(tmp_path / "2pair" / "a.parquet", rows_of("p1", "BA", 2) + rows_of("p2", "AB", 2, ranking="A=B"))
    parquet(tmp_path / "3pair" / "a.parquet", rows_of("t1", "CAB", 3))
    parquet(tmp_path / "4pair" / "a.parquet", rows_of("q1", "DBCA", 4)[::-1] + rows_of("q2", "ABCD", 4))
    items = {item.key: item for item in read(tmp_path)}
    assert {key: len(item.candidates) for key, item in items.items()} == {
        "2pair-p1": 2, "2pair-p2": 2, "3pair-t1": 3, "4pair-q1": 4, "4pair-q2": 4,
    }  # fmt: skip
    assert outcomes(items["2pair-p1"]) == {(0, 1): -1}
    assert outcomes(items["2pair-p2"]) == {(0, 1): 0}
    assert outcomes(items["3pair-t1"]) == {(0, 1): 1, (0, 2): -1, (1, 2): -1}
    assert outcomes(items["4pair-q1"]) == {(0, 1): -1, (0, 2): -1, (0, 3): -1, (1, 2): 1, (1, 3): -1, (2, 3): -1}
    assert [made.editor for made in items["4pair-q1"].candidates] == ["model-a", "model-b", "model-c", "model-d"]
    assert items["4pair-q1"].candidates[2].image == inside(12)["bytes"]


def test_the_json_form(tmp_path: Path) -> None:
    names = [put(tmp_path, f"{n}.png", n) for n in range(5)]
    for kind, ranking in ((2, "A=B=Bad"), (3, "C>A>B"), (4, "A>B=C>D")):
        row = {
            "prompt": "Add",
            "path_src": names[4],
            "paths_generated": names[:kind],
            "human_vote": {"ranking": ranking},
        }
        as_json(tmp_path / f"EditReward_Bench_{kind}pair.json", [row])
    two, three, four = read(tmp_path)
    assert (two.labels["overall"].both_bad, outcomes(two)) == (frozenset({(0, 1)}), {(0, 1): 0})
    assert outcomes(three) == {(0, 1): 1, (0, 2): -1, (1, 2): -1}
    assert outcomes(four)[1, 2] == 0 and outcomes(four)[0, 3] == 1


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (rows_of("t", "CAB", 3)[:2], "1 tuples lack pairs"),
        (rows_of("t", "CAB", 3) + rows_of("t", "CAB", 3)[:1], "was whole already"),
        (rows_of("t", "CAB", 3)[:1] * 2, "the same pair again"),
        (rows_of("p", "AB", 2, ranking="A>C"), "is no order of A, B"),
        (rows_of("p", "AB", 2, ranking="A"), "is no order"),
        (rows_of("p", "AB", 2, dataset="5pair"), "dataset is"),
        (rows_of("t", "CAB", 3, comparison_type="BvsA"), "comparison_type"),
        (rows_of("t", "CAB", 3, comparison_type="AvsD"), "comparison_type"),
        (rows_of("p", "AB", 2, instruction=""), "instruction is missing"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, rows: list[dict[str, Any]], words: str) -> None:
    parquet(tmp_path / "a.parquet", rows)
    with pytest.raises(LayoutError, match=words):
        list(read(tmp_path))


def test_wrong_json_is_refused(tmp_path: Path) -> None:
    name = put(tmp_path, "a.png", 1)
    path = tmp_path / "EditReward_Bench_3pair.json"
    row = {"prompt": "Add", "path_src": name, "paths_generated": [name] * 3, "human_vote": {"ranking": "A>B"}}
    for change, words in (
        ({}, "is no order"),
        ({"paths_generated": [name]}, "list of 3"),
        ({"human_vote": 1}, "human_vote"),
    ):
        as_json(path, [{**row, **change}])
        with pytest.raises(LayoutError, match=words):
            list(read(tmp_path))
    path.unlink()
    with pytest.raises(LayoutError, match="none of the files"):
        list(read(tmp_path))
