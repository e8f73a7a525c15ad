"""Figures of imported judgements: against brute force, other implementations, and what was published. No database."""

import io
import json
import math
import tracemalloc
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scoring.elsewhere import leaderboard, reading, unpacking
from scoring.elsewhere.agreeing import fleiss_kappa
from scoring.elsewhere.figures import OVERALL, Made, compute, plain
from scoring.elsewhere.found import Found
from scoring.elsewhere.table import Judgements
from tests.elsewhere import files
from tests.stats.shared import shared_file


def found_in(data: bytes, folder: Path) -> Found:
    return reading.read([unpacking.unpack(io.BytesIO(data), "file", folder / "in")])


def judged(found: Found) -> Judgements:
    return Judgements(found.kind, found.columns, found.values)


def made_of(data: bytes, folder: Path) -> Made:
    found = found_in(data, folder)
    return compute(judged(found), found.layout)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    plain_boards = leaderboard.boards
    monkeypatch.setattr("scoring.elsewhere.figures.boards", lambda cells: plain_boards(cells, resamples=8))


def test_it_works(tmp_path: Path) -> None:
    made = made_of(files.ratings(), tmp_path)
    quality, alignment = made.figures["dimensions"]
    assert (quality["scores"], quality["items"], quality["annotators"], quality["shared"]) == (36, 12, 3, 12)
    assert (alignment["low"], alignment["high"], alignment["levels"]) == (1, 5, 5)
    assert 0.7 < alignment["ordinal"] < 1 and 0.7 < alignment["icc"] < alignment["icc_k"] < 1
    assert json.loads(json.dumps(made.figures, allow_nan=False)) == made.figures


def test_the_scores_are_means_of_both_methods(tmp_path: Path) -> None:
    scores = made_of(files.ratings(), tmp_path).scores
    rows = [dict(zip(scores, row, strict=True)) for row in zip(*map(list_of, scores.values()), strict=True)]
    assert len(rows) == 24 and rows[0]["item"] == "g0/e1" and rows[0]["editor"] == "e1" and rows[0]["task"] == "t0"
    for row in rows:
        expected = np.mean(files.SCORES[row["editor"]]) + 0.5 * (row["dimension"] == "quality" and row["task"] == "t1")
        assert row["mean"] == pytest.approx(expected) and row["n"] == 3
    order = [np.argsort([row[name] for row in rows[:3]]).tolist() for name in ("mean", "zscore", "corrected")]
    assert order == [[2, 1, 0]] * 3


def list_of(column: Any) -> list[Any]:
    return list(column.to_pylist() if hasattr(column, "to_pylist") else column.tolist())


def test_a_leaderboard_by_task_and_over_all(tmp_path: Path) -> None:
    boards = made_of(files.ratings(groups=6), tmp_path).figures["boards"]
    assert [(board["task"], board["dimension"]) for board in boards] == [
        (task, dimension) for task in ("t0", "t1", "") for dimension in ("quality", "alignment")
    ]
    every = boards[-1]
    assert (every["groups"], every["compared"]) == (6, 6)
    assert [(row["editor"], row["n"], row["wins"]) for row in every["rows"]] == [
        ("e1", 6, 2),
        ("e2", 6, 1),
        ("e3", 6, 0),
    ]
    assert every["rows"][0]["mean"] == pytest.approx(14 / 3)
    assert all(row["strength"] is None for row in every["rows"])  # nobody lost to those below: no finite strength
    assert "not determined" in every["notes"][0]


def test_wins_and_orders_against_brute_force(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    rows = [
        (f"a{a}", f"g{g}/e{e}", "q", int(rng.integers(1, 5)), f"g{g}", f"e{e}")
        for g in range(25)
        for a in range(3)
        for e in range(4)
    ]
    data = files.table(["annotator", "item", "dimension", "score", "group", "editor"], rows)
    (board,) = made_of(data, tmp_path).figures["boards"]
    means: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _a, _i, _d, score, group, editor in rows:
        means[group, editor].append(score)
    wins: dict[str, float] = defaultdict(float)
    for (group, editor), mine in means.items():
        for (other_group, other), theirs in means.items():
            if group == other_group and editor != other:
                wins[editor] += (sum(mine) > sum(theirs)) + 0.5 * (sum(mine) == sum(theirs))
    assert {row["editor"]: row["wins"] for row in board["rows"]} == pytest.approx({e: w / 25 for e, w in wins.items()})
    assert board["notes"] == [] and all(row["low"] < row["strength"] < row["high"] for row in board["rows"])
    assert sum(row["luce"] for row in board["rows"]) == pytest.approx(0)


def test_editors_of_several_candidates_have_no_order(tmp_path: Path) -> None:
    rows = [(f"a{a}", f"g/{n}", "q", n + a, "g", f"e{n % 2}") for a in range(2) for n in range(4)]
    data = files.table(["annotator", "item", "dimension", "score", "group", "editor"], rows)
    (board,) = made_of(data, tmp_path).figures["boards"]
    assert board["notes"] == ["Plackett-Luce was not fitted: an editor has several candidates in a group"]


def test_boards_that_are_too_much_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaderboard, "MOST_BOARDS", 5)
    boards = made_of(files.ratings(), tmp_path).figures["boards"]
    assert [board["task"] for board in boards] == ["", ""]
    for name, limit, said in (
        ("MOST_EDITORS", 2, "for at most 2 editors; there are 3"),
        ("MOST_ORDERS", 3, "there are more than 3 orders"),
        ("MOST_PAIRS", 30, "too large to compare"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(leaderboard, name, limit)
            board = made_of(files.ratings(), tmp_path).figures["boards"][0]
        assert said in board["notes"][0] and all(row["luce"] is None for row in board["rows"])
    assert [row["editor"] for row in board["rows"]] == ["e1", "e2", "e3"] and board["rows"][0]["wins"] is None


def test_rankings(tmp_path: Path) -> None:
    made = made_of(files.rankings(groups=4), tmp_path)
    (row,) = made.figures["dimensions"]
    assert (row["groups"], row["rankings"], row["measured"], row["contested"]) == (4, 8, 4, 0)
    assert 0.8 < row["w"] < 1 and made.figures["ties"] == 4
    assert made.figures["luce"] == {"groups": 4, "plain": 0, "joined": 4, "left_out": 0}
    (board,) = made.figures["boards"]
    assert [one["editor"] for one in board["rows"]] == ["e1", "e2", "e3"]


def test_opposed_rankings_have_strengths_of_their_own(tmp_path: Path) -> None:
    orders = ((1, 2, 3), (3, 1, 2), (2, 3, 1))
    rows = [(f"a{n}", "g", "d", f"c{k}", rank) for n, ranks in enumerate(orders) for k, rank in enumerate(ranks)]
    made = made_of(files.table(["annotator", "group", "dimension", "candidate", "rank"], rows), tmp_path)
    assert made.figures["luce"]["plain"] == 1
    assert made.scores["strength_alone"].tolist() == pytest.approx([0, 0, 0], abs=1e-9)
    assert made.figures["dimensions"][0]["contested"] == 1


def test_votes(tmp_path: Path) -> None:
    made = made_of(files.genai(), tmp_path).figures
    assert [(one["vote"], one["count"], one["share"]) for one in made["votes"]] == [
        ("A", 2, 0.4), ("B", 1, 0.2), ("tie", 1, 0.2), ("both_bad", 1, 0.2)
    ]  # fmt: skip
    assert made["side"]["n"] == 3 and made["side"]["share"] == pytest.approx(2 / 3)
    ties = made_of(files.genai(["tievote"]), tmp_path).figures
    assert ties["side"]["n"] == 0 and ties["side"]["share"] is None and ties["side"]["low"] is None


def test_one_annotator_has_no_agreement(tmp_path: Path) -> None:
    data = files.table(["annotator", "item", "dimension", "score"], [("a", f"i{n}", "d", n) for n in range(5)])
    figures = made_of(data, tmp_path).figures
    (row,) = figures["dimensions"]
    assert (row["ordinal"], row["icc"], row["kappa"], row["shared"]) == (None, None, None, 0)
    assert "only one annotator" in figures["warnings"]["agreement"][0]
    assert figures["boards"] == [] and figures["parts"] == []


def test_fleiss_kappa_of_scores_that_are_all_different_takes_little_memory() -> None:
    unit, score = np.repeat(np.arange(3_000), 2), np.arange(6_000.0)
    tracemalloc.start()
    assert fleiss_kappa(unit, score, 3_000) == pytest.approx(-1 / 5_999)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000  # a table of items by scores has 18 million cells


def test_fleiss_kappa_is_undefined_for_gaps_and_for_one_category() -> None:
    assert math.isnan(fleiss_kappa(np.array([0, 0, 1]), np.array([1.0, 2.0, 1.0]), 2))
    assert math.isnan(fleiss_kappa(np.array([0, 0, 1, 1]), np.ones(4), 2))
    assert math.isnan(fleiss_kappa(np.array([0, 1]), np.array([1.0, 2.0]), 2))


def test_what_is_no_number_becomes_null() -> None:
    given = {"a": [np.float64(1.5), np.nan, np.int64(3)], "b": (np.bool_(True), math.inf), "c": {"d": "x"}}
    assert plain(given) == {"a": [1.5, None, 3], "b": [True, None], "c": {"d": "x"}}


def test_imagenhubs_overall_is_of_one_raters_two_scores(tmp_path: Path) -> None:
    made = made_of(files.imagenhub_long(), tmp_path)
    assert [row["dimension"] for row in made.figures["dimensions"]] == ["SC", "PR", OVERALL]
    assert made.figures["derived"] == OVERALL and [row["scores"] for row in made.figures["dimensions"]] == [36] * 3


# What was published --------------------------------------------------------------------------------------------------


def test_imagenhubs_printed_agreement(tmp_path: Path) -> None:
    """33,144 ratings; 97 ordinal α and 97 Fleiss' κ of models, criteria and the overall score, to two decimals."""
    published = json.loads(shared_file("golden/imagenhub_published_agreement.json").read_text())["published"]
    made = made_of(shared_file("human-data/imagenhub/long.csv.gz").read_bytes(), tmp_path)
    assert sum(row["scores"] for row in made.figures["dimensions"][:2]) == 33_144
    names = {"SC": "SC", "PR": "PR", OVERALL: "HumanEval"}
    checked = 0
    for row in made.figures["parts"]:
        printed = published[row["task"]][row["editor"]]
        name = names[row["dimension"]]
        assert row["mean"] == pytest.approx(
            printed["avg_HumanEvalAvg" if name == "HumanEval" else f"avg_{name}_avg"], abs=0.00501
        )
        for figure, ending in ((row["alpha"], "Kd"), (row["fleiss"], "Kappa")):
            expected = printed.get(f"{name}_fleiss_{ending}")
            assert (figure is None) == (expected is None), row  # Imagic's SC is 0 throughout: nothing was printed
            if expected is not None:
                assert figure == pytest.approx(expected, abs=0.00501), row
                checked += 1
    assert checked == 2 * 97 and len(made.figures["parts"]) == 99


def test_genai_benchs_votes(tmp_path: Path) -> None:
    made = made_of(shared_file("human-data/genai-bench/image_edition_votes.json").read_bytes(), tmp_path)
    votes = {one["vote"]: one["count"] for one in made.figures["votes"]}
    assert votes == {"A": 240, "B": 263, "tie": 24, "both_bad": 392} and sum(votes.values()) == 919


def test_imagerewards_rankings(tmp_path: Path) -> None:
    """One order of a prompt's images has no finite strengths by itself; with pseudo-comparisons all 466 have."""
    made = made_of(shared_file("human-data/imagereward/test.json").read_bytes(), tmp_path)
    assert made.figures["luce"] == {"groups": 466, "plain": 0, "joined": 466, "left_out": 0}
    assert made.figures["ties"] == 349 and len(made.scores["group"]) == 2720
    strength, rank = made.scores["strength"], made.scores["mean_rank"]
    assert np.isfinite(strength).all() and np.isnan(made.scores["strength_alone"]).all()
    _, group = np.unique(made.scores["group"].to_pylist(), return_inverse=True)
    for code in range(0, 466, 10):
        mine = group == code
        assert strength[mine].sum() == pytest.approx(0, abs=1e-6)
        order = np.argsort(rank[mine], kind="stable")
        steps, ranks = np.diff(strength[mine][order]), np.diff(rank[mine][order])
        assert (steps[ranks > 0] < 0).all() and np.allclose(steps[ranks == 0], 0, atol=1e-6)
