"""Printed figures: to the letter, and of tables that exist."""

import json
import re

import pytest

from tests.stats.shared import SHARED
from training.benchmarks.printed import FILE, tables_for
from training.rewards.layouts import layout_names

TOLD = json.loads(FILE.read_text())
PAPERS = {"EditReward": "editreward.txt", "EditHF-1M": "editHF-1M.txt"}


def test_they_stand_where_they_belong() -> None:
    tables = tables_for("genai_bench")
    assert [(one.paper, one.table) for one in tables] == [
        ("EditReward", f"Table {number}") for number in (2, 4, 5, 7, 8)
    ] + [("EditHF-1M", "Table 5")]
    assert dict(tables[0].rows)["EditReward (MiMo-VL-7B)"] == ["65.72"]
    bench = tables_for("editreward_bench")[0]
    assert dict(bench.rows)["GPT-5"] == ["57.53", "38.51", "12.84", "37.81"]
    assert tables_for("") == []


def test_every_row_has_a_known_benchmark_paper_and_table() -> None:
    for row in TOLD["rows"]:
        assert row["benchmark"] in layout_names()
        assert row["table"] in TOLD["tables"][row["paper"]] and row["values"]


def test_nothing_is_there_twice() -> None:
    keys = [(row["paper"], row["table"], row["benchmark"], row["model"]) for row in TOLD["rows"]]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("paper", PAPERS)
def test_each_value_stands_in_the_paper_in_one_line(paper: str) -> None:
    path = SHARED / "papers" / PAPERS[paper]
    if not path.exists():
        pytest.skip("the papers are not at hand")
    lines = [set(re.split(r"[\s|]+", re.sub(r"<[^>]+>|\*", "", line))) for line in path.read_text().splitlines()]
    for row in TOLD["rows"]:
        if row["paper"] == paper and row["table"] != "Table 8":  # whose figures stand in two lines
            assert any(set(row["values"].values()) <= words for words in lines), row
