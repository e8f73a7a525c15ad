"""Charts: everything is inside the box, series differ by more than colour, and what does not exist is not drawn."""

import csv
import io
import math
import re
from pathlib import Path

import pytest

from scoring.boards import charts
from scoring.boards.charts import Cell, Point, Series
from scoring.boards.figure import Figure, Table, csv_of, say
from scoring.boards.shapes import SERIES, Chart, mark, thin, ticks

NAN = math.nan


def places(d: str) -> list[tuple[float, float]]:
    """The absolute corners of a path of M and L."""
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", d)]


def lines(series: list[Series], **more: object) -> Chart:
    made = charts.lines(series, label="L", across="x", up="y", **more)  # type: ignore[arg-type]
    assert made is not None
    return made


def test_it_works() -> None:
    made = lines([Series("a", [Point(0, 1), Point(10, 3)]), Series("b", [Point(0, 2, 1.5, 2.5)])])
    drawn = [shape.kind for shape in made.shapes]
    assert drawn.count("line c0") == 1 and drawn.count("mark c0") == 2
    assert drawn.count("line c1") == 0 and drawn.count("mark c1") == 1 and drawn.count("range c1") == 1
    (line,) = [shape for shape in made.shapes if shape.kind == "line c0"]
    (left, low), (right, high) = places(line.d)
    assert left < right and low > high  # up is less
    assert [key.name for _x, _y, key in made.legend] == ["a", "b"]
    assert all(0 <= x <= made.width and 0 <= y <= made.full_height for s in made.shapes for x, y in places(s.d))


def test_every_series_has_a_mark_and_a_dash_of_its_own() -> None:
    assert len({mark(0, 0, number) for number in range(SERIES)}) == SERIES
    text = Path("static/css/boards.css").read_text()
    dashes = re.findall(r"\.line\.c(\d) \{ stroke-dasharray: ([\d ]+);", text)
    assert len({dash for _series, dash in dashes}) == SERIES - 1 and "0" not in dict(dashes)
    for number in range(SERIES):
        assert f".mark.c{number} {{ fill: var(--c{number})" in text


def test_values_that_do_not_exist_are_not_drawn() -> None:
    made = lines([Series("a", [Point(0, NAN), Point(1, 2, NAN, NAN), Point(2, 3)])])
    assert sum(shape.kind == "mark c0" for shape in made.shapes) == 2
    assert not any(shape.kind.startswith("range") or "nan" in shape.d for shape in made.shapes)


@pytest.mark.parametrize(
    "made",
    [
        charts.lines([Series("a", [Point(0, NAN)])], label="", across="", up=""),
        charts.lines([], label="", across="", up=""),
        charts.bars([], label="", up=""),
        charts.bars([("a", 0.0)], label="", up=""),
        charts.dots([("a", [Point(NAN, 0)])], label="", across=""),
        charts.heat([("a", [Cell(NAN, "")])], ["x"], label="", limits=(0, 1)),
        charts.multiples([("a", [0.0, 0.0])], ["1", "2"], label=""),
        charts.radar(["x", "y"], [("a", [1, 2])], (0, 2), label=""),
        charts.radar(["x", "y", "z"], [("a", [1, NAN, 2])], (0, 2), label=""),
    ],
)
def test_nothing_to_draw_is_no_chart(made: Chart | None) -> None:
    assert made is None


def test_bars_are_as_high_as_their_values() -> None:
    made = charts.bars([("a", 2.0), ("b", 4.0), ("c", 0.0)], label="", up="n")
    assert made is not None
    highs = [float(re.findall(r"v([\d.]+)", s.d)[0]) for s in made.shapes if s.kind == "bar"]
    assert highs == pytest.approx([highs[1] / 2, highs[1], 0], abs=0.06)


def test_dots_lie_on_one_scale_and_their_intervals_around_them() -> None:
    rows = [("a", [Point(0, 0, -1, 1)]), ("b", [Point(2, 0)])]
    made = charts.dots(rows, label="", across="", rule=0)
    assert made is not None
    (interval,) = [places(s.d) for s in made.shapes if s.kind == "range c0"]
    (rule,) = [places(s.d) for s in made.shapes if s.kind == "rule"]
    assert (interval[0][0] + interval[1][0]) / 2 == pytest.approx(rule[0][0], abs=0.1)


def test_a_cell_of_a_heat_map_has_its_number_a_shade_and_a_link() -> None:
    cells = [Cell(0, "0.00"), Cell(0.5, "0.50", href="/rows"), Cell(1, "1.00"), Cell(NAN, "–")]
    made = charts.heat([("a", cells)], list("wxyz"), label="", limits=(0, 1))
    assert made is not None
    assert [s.kind for s in made.shapes] == ["heat h1", "heat h3", "heat h5", "heat h0"]
    numbers = [w for w in made.words if w.kind.startswith("number")]
    assert [(w.text, w.href) for w in numbers] == [("0.00", ""), ("0.50", "/rows"), ("1.00", ""), ("–", "")]
    assert [w.kind for w in numbers] == ["number", "number", "number over", "number"]  # white on the darkest alone


def test_a_radar_leaves_out_whoever_lacks_a_value() -> None:
    made = charts.radar(["x", "y", "z"], [("a", [1, 2, 3]), ("b", [1, NAN, 3])], (0, 3), label="")
    assert made is not None and [key.name for key in made.keys] == ["a"]


def test_small_multiples_share_one_scale() -> None:
    made = charts.multiples([("a", [0.5, 0.5]), ("b", [1.0, 0.0])], ["low", "high"], label="")
    assert made is not None
    highs = [float(re.findall(r"v([\d.]+)", s.d)[0]) for s in made.shapes if s.kind == "bar"]
    assert highs == [27, 27, 54, 0]


def test_ticks_are_round_and_reach_around_the_values() -> None:
    assert ticks(0, 1) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert ticks(3, 3)[0] <= 3 <= ticks(3, 3)[-1]
    assert thin(list(range(1000)), 10)[-1] == 999


# Numbers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"), [(None, "–"), (NAN, "–"), (math.inf, "–"), (1.23456, "1.23"), (12345, "12,345"), ("x", "x")]
)
def test_what_does_not_exist_is_a_dash(value: str | int | float | None, said: str) -> None:
    assert say(value, 2) == said


def test_a_saved_table_runs_nothing_and_names_what_is_not_real() -> None:
    table = Table(["Editor", "n", "MOS"], [["=cmd()", 3, -1.25], ["+a", 0, None], ["b", 1, NAN]])
    rows = list(csv.reader(io.StringIO("".join(csv_of(Figure("f", "F", table), "Simulation.")))))
    assert rows == [
        ["Editor", "n", "MOS", "notice"],
        ["'=cmd()", "3", "-1.25", "Simulation."],
        ["'+a", "0", "", "Simulation."],
        ["b", "1", "", "Simulation."],
    ]
    assert "notice" not in "".join(csv_of(Figure("f", "F", table), ""))
    assert table.has_gaps and not Table(["a"], [["x"]]).has_gaps
