"""The leaderboard's figures: what ``standings`` computed, as tables and charts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from annotation.models import Editor, Study, Task
from annotation.protocols import RATING
from scoring.boards import charts
from scoring.boards.charts import Cell, Point
from scoring.boards.figure import Figure, Table, Value, say
from scoring.boards.forms import MOS, Options
from scoring.boards.shapes import SERIES
from scoring.boards.standings import ALL, ByTask, Estimates, Figures, Part, Standings

NAN = math.nan


@dataclass(frozen=True)
class Ladder:
    """The editors of a study in their order, best first. ``order``: places in the lists of ``standings``."""

    study: Study
    standings: Standings
    options: Options
    names: list[str]
    slugs: list[str]
    tasks: list[str]
    overall: list[float | None]
    order: list[int]

    @property
    def part(self) -> Part:
        """The chosen dimension, or the first one where that has no judgements yet."""
        parts = self.standings.parts
        return parts.get(self.options.dimension) or next(iter(parts.values()))

    @property
    def keys(self) -> list[str]:
        return [d.key for d in self.study.protocol.dimensions if d.key in self.standings.parts]

    def label(self, key: str) -> str:
        return _("All together") if key == ALL else self.study.protocol.dimension(key).label

    def rows(self, editor: int, **filters: str) -> str:
        """The address of the rows behind a number."""
        asked = {name: value for name, value in filters.items() if value}
        address = reverse("study_editor", args=[self.study.uid, self.slugs[editor]])
        return f"{address}?{urlencode(asked)}" if asked else address


def ladder(study: Study, found: Standings, options: Options) -> Ladder:
    """Two queries: the names of editors and tasks."""
    editors = Editor.objects.in_bulk(found.editors)
    tasks = Task.objects.in_bulk(found.tasks)
    overall = weighted(found, options)
    first = found.parts.get(options.dimension)
    by_wins = first.wins.value if first else [None] * len(found.editors)
    order = sorted(
        (place for place, count in enumerate(found.candidates) if count),
        key=lambda place: (-_number(overall[place], -math.inf), -_number(by_wins[place], -math.inf), place),
    )
    return Ladder(
        study=study,
        standings=found,
        options=options,
        names=[editors[pk].name for pk in found.editors],
        slugs=[editors[pk].slug for pk in found.editors],
        tasks=[tasks[slug].name for slug in found.tasks],
        overall=overall,
        order=order,
    )


def weighted(found: Standings, options: Options) -> list[float | None]:
    """The weighted mean over dimensions of each editor's score; None where one that has a weight is missing."""
    parts = [(weight, found.parts.get(key)) for key, weight in options.weights.items() if weight > 0]
    made: list[float | None] = []
    for place in range(len(found.editors)):
        values = [(weight, measure(part, options).value[place] if part else None) for weight, part in parts]
        known = [(weight, value) for weight, value in values if value is not None]
        total = sum(weight for weight, _value in values)
        made.append(sum(w * v for w, v in known) / total if len(known) == len(values) and total else None)
    return made


def measure(part: Part, options: Options) -> Estimates:
    return part.mos if options.by == MOS else part.wins


def _number(value: float | None, instead: float = NAN) -> float:
    return instead if value is None else value


def interval(found: Estimates, place: int, digits: int = 2) -> str:
    """ "3.21 [3.02, 3.40]"."""
    value, low, high = found.value[place], found.low[place], found.high[place]
    limits = f" [{say(low, digits)}, {say(high, digits)}]" if low is not None else ""
    return say(value, digits) + limits


# Figures ------------------------------------------------------------------------------------------------------------


def figures(board: Ladder) -> list[Figure]:
    """All figures of the page, in their order."""
    return [overview(board), opinions(board), strengths(board), matrix(board), *by_task(board)]


def overview(board: Ladder) -> Figure:
    """The order of the editors: one number a dimension, and the weighted mean."""
    columns = [_("Editor"), _("Candidates"), _("Overall"), *(board.label(key) for key in board.keys)]
    rows, hrefs = [], {}
    for row, place in enumerate(board.order):
        values = [measure(board.standings.parts[key], board.options).value[place] for key in board.keys]
        rows.append([board.names[place], board.standings.candidates[place], board.overall[place], *values])
        hrefs[row, 1] = board.rows(place)
        for column, key in enumerate(board.keys):
            hrefs[row, 3 + column] = board.rows(place, dimension=key)
    points = [(board.names[place], [Point(_number(board.overall[place]), 0)]) for place in board.order]
    return Figure(
        name="overall",
        title=_("Overall"),
        table=Table(columns, rows, 2, hrefs),
        chart=charts.dots(points, label=_("Overall score of each editor"), across=_scale(board)),
        note=_scale(board),
        gaps=_("–: a dimension that has a weight has no judgements of this editor yet."),
        empty=_("No editor has a score in all weighted dimensions yet."),
    )


def _scale(board: Ladder) -> str:
    if board.options.by != MOS:
        return _("mean number of pairwise wins in a group, a tie counts ½")
    if board.options.method == "zscore":
        return _("opinion score, 0 to 100")
    return _("opinion score, in the units of the protocol")


def opinions(board: Ladder) -> Figure:
    """Opinion scores by dimension with their intervals."""
    keys = [key for key in board.keys if any(board.standings.parts[key].mos.n)]
    parts = [board.standings.parts[key].mos for key in keys]
    rows = [
        [board.names[place], board.label(key), part.n[place], part.value[place], part.low[place], part.high[place]]
        for place in board.order
        for key, part in zip(keys, parts, strict=True)
    ]
    points = [
        (board.names[place], [_point(part, place, board.label(key)) for key, part in zip(keys, parts, strict=True)])
        for place in board.order
    ]
    columns = [_("Editor"), _("Dimension"), _("Candidates"), _("MOS"), _("95 % from"), _("to")]
    labels = [board.label(key) for key in keys]
    asked = _("Opinion scores by editor and dimension, with 95 % intervals")
    return Figure(
        name="opinions",
        title=_("Opinion scores"),
        table=Table(columns, rows, 2),
        chart=charts.dots(points, labels, label=asked, across=_("opinion score")),
        note=_("Mean over an editor's candidates, with Student's t interval over them."),
        gaps=_("–: one candidate has no interval; none, no score."),
        empty=_("Comparisons have no opinion scores.") if not keys else "",
    )


def _point(found: Estimates, place: int, name: str) -> Point:
    low, high = found.low[place], found.high[place]
    return Point(_number(found.value[place]), 0, _number(low), _number(high), f"{name}: {interval(found, place)}")


def strengths(board: Ladder) -> Figure:
    """Bradley-Terry and Plackett-Luce strengths beside each other."""
    part = board.part
    kinds = {"Bradley–Terry": part.bradley_terry, "Plackett–Luce": part.plackett_luce}
    by_strength = sorted(board.order, key=lambda place: -_number(part.bradley_terry.value[place], -math.inf))
    rows = [
        [board.names[place], part.wins.n[place], part.wins.value[place], *_columns(kinds.values(), place)]
        for place in by_strength
    ]
    points = [(board.names[p], [_point(found, p, name) for name, found in kinds.items()]) for p in by_strength]
    columns = [_("Editor"), _("In groups"), _("Wins")]
    for name in kinds:
        columns += [name, _("%(name)s from") % {"name": name}, _("%(name)s to") % {"name": name}]
    hrefs = {(row, 1): board.rows(place, dimension=part.dimension) for row, place in enumerate(by_strength)}
    return Figure(
        name="strengths",
        title=_("Strength: %(dimension)s") % {"dimension": board.label(part.dimension)},
        table=Table(columns, rows, 2, hrefs),
        chart=charts.dots(
            points, list(kinds), label=_("Strength of editors with 95 % intervals"), across=_("log strength"), rule=0
        ),
        note=_strength_note(board, part),
        gaps=_(
            "–: not determined. A strength has no finite value while an editor wins, or loses, everything, and while "
            "editors never met; an interval needs one in nine tenths of the resamples."
        ),
        empty=_no_strength(part),
    )


def _columns(kinds: Iterable[Estimates], place: int) -> list[float | None]:
    return [column[place] for found in kinds for column in (found.value, found.low, found.high)]


def _strength_note(board: Ladder, part: Part) -> str:
    said = [_("Logarithms, mean 0; 95 %% bootstrap intervals over cases; %(n)d groups.") % {"n": part.groups}]
    if part.tie is not None:
        said.append(_("Bradley–Terry's tie parameter is %(tie).2f.") % {"tie": part.tie})
    if board.study.protocol.kind == RATING:
        said.append(_("Of two candidates of one case the one with the higher opinion score wins."))
    if part.dimension == ALL:
        said.append(_("All dimensions count alike here; the weights are those of the overall score alone."))
    if part.repeated:
        said.append(
            _("Plackett–Luce leaves out %(n)d groups with several candidates of one editor.") % {"n": part.repeated}
        )
    return " ".join(said)


def _no_strength(part: Part) -> str:
    if not part.groups:
        return _("No group has two judged candidates yet.")
    return _("The comparisons do not determine strengths: some editors never met, or one never lost or never won.")


def matrix(board: Ladder) -> Figure:
    """How often each editor won against each other."""
    part, order = board.part, board.order
    names = [board.names[place] for place in order]
    cells = [(board.names[row], [_versus(board, row, column) for column in order]) for row in order]
    met = [(i, j) for i in order for j in order if part.met[i][j]]
    rows: list[list[Value]] = [
        [board.names[i], board.names[j], part.met[i][j], part.won[i][j], part.won[i][j] / part.met[i][j]]
        for i, j in met
    ]
    hrefs = {
        (row, 2): board.rows(i, dimension=part.dimension, against=board.slugs[j]) for row, (i, j) in enumerate(met)
    }
    return Figure(
        name="matrix",
        title=_("Who wins against whom: %(dimension)s") % {"dimension": board.label(part.dimension)},
        table=Table([_("Editor"), _("against"), _("Comparisons"), _("Won, a tie ½"), _("Share")], rows, 2, hrefs),
        chart=charts.heat(cells, names, label=_("Share of wins of the row against the column"), limits=(0, 1)),
        note=_("Share of comparisons that the editor of the row won against that of the column; a tie is half a win."),
        empty=_("No two editors were compared yet."),
    )


def _versus(board: Ladder, row: int, column: int) -> Cell:
    part = board.part
    met, won = part.met[row][column], part.won[row][column]
    if row == column or not met:
        return Cell(NAN, "" if row == column else "–")
    href = board.rows(row, dimension=part.dimension, against=board.slugs[column])
    return Cell(won / met, f"{won / met:.2f}", _("%(won)g of %(met)d") % {"won": won, "met": met}, href)


def by_task(board: Ladder) -> list[Figure]:
    """The chosen dimension by task: a heat map, and the same numbers as a radar. All together: the overall score."""
    values, n = task_values(board)
    known = [value for row in values for value in row if value is not None]
    limits = (min(known), max(known)) if known else (0.0, 1.0)
    columns = board.tasks
    shown = _("Overall") if board.part.dimension == ALL else board.label(board.part.dimension)
    asked = {"dimension": board.part.dimension}
    cells = [
        (
            board.names[place],
            [
                Cell(
                    _number(value),
                    say(value, 2),
                    _("%(value)s from %(n)d candidates") % {"value": say(value, 2), "n": n[place][task]},
                    board.rows(place, task=board.standings.tasks[task], **asked) if n[place][task] else "",
                )
                for task, value in enumerate(values[place])
            ],
        )
        for place in board.order
    ]
    table = Table(
        [_("Editor"), _("Task"), _("Candidates"), _scale(board)],
        [
            [board.names[place], columns[task], n[place][task], value]
            for place in board.order
            for task, value in enumerate(values[place])
        ],
        2,
    )
    title = _("By task: %(shown)s") % {"shown": shown}
    empty = _("No task has a score yet.")
    heat = charts.heat(cells, columns, label=title, limits=limits)
    series = [(board.names[place], [_number(value) for value in values[place]]) for place in board.order]
    ring = charts.radar(columns, series, _radar_limits(limits), label=title)
    first = Figure("tasks", title, table, heat, note=_scale(board), gaps=_("–: not judged."), empty=empty)
    left_out = len([1 for _name, row in series if not all(map(math.isfinite, row))]) or max(0, len(series) - SERIES)
    note = _("%(n)d editors are not drawn, for want of a score in some task or of room.") % {"n": left_out}
    few = _("A radar needs three tasks and an editor with a score in each of them.")
    return [first, replace(first, name="radar", chart=ring, note=note if left_out else "", empty=few)]


def _radar_limits(limits: tuple[float, float]) -> tuple[float, float]:
    """A little below the lowest value, so that it does not fall into the centre."""
    low, high = limits
    return low - 0.15 * ((high - low) or 1), high


def task_values(board: Ladder) -> tuple[list[Figures], list[list[int]]]:
    """[editor][task] of the chosen measure, and from how many candidates."""

    def of(part: Part) -> ByTask:
        return part.task_mos if board.options.by == MOS else part.task_wins

    parts, weights = board.standings.parts, board.options.weights
    if board.part.dimension != ALL:
        found = of(board.part)
        return found.value, found.n
    keys = [key for key in board.keys if weights.get(key, 0) > 0]
    total = sum(weights[key] for key in weights)
    values: list[Figures] = []
    numbers: list[list[int]] = []
    whole = len(keys) == sum(weight > 0 for weight in weights.values())
    for place in range(len(board.names)):
        row: Figures = []
        for task in range(len(board.tasks)):
            known = [(weights[key], of(parts[key]).value[place][task]) for key in keys]
            fine = [(weight, value) for weight, value in known if value is not None]
            row.append(sum(w * v for w, v in fine) / total if whole and fine and len(fine) == len(known) else None)
        values.append(row)
        numbers.append([min((of(parts[key]).n[place][task] for key in keys), default=0) for task in range(len(row))])
    return values, numbers
