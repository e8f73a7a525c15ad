"""Figures of a run as pages show them: charts over rounds and looks, the table of the last look, seconds by phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from training.reward_models.charts import Chart, Point, Series, chart
from training.reward_models.progress import is_number
from training.runs.progress import Progress, Row, value_of

SHARE = (0.0, 1.0)
ZERO = (0.0, 0.0)
PHASES = ("sampling", "reward", "update", "look")
SHOWN = {  # what has a chart of its own; other numbers that a run tells come after them
    "event", "time", "round", "reward", "raw", "loss", "ratio_first", "clip_fraction", "zero_spread", "missing",
    "distance", "kl", "preservation", "grid", "grad_norm", "lr", "seconds", "images", "images_per_second",
    "cpu_seconds", "held",
}  # fmt: skip
EXACT = 1e-12


@dataclass(frozen=True)
class Panel:
    """A chart with its heading. ``key`` names its place on the page."""

    key: str
    title: str
    chart: Chart | None
    note: str = ""


def curve(rows: Sequence[Mapping[str, Any]], *path: str) -> list[Point]:
    """(round, value) of the rows that have a number there."""
    found = ((row["round"], value_of(row, *path)) for row in rows)
    return [(float(number), value) for number, value in found if value is not None]


def names_in(rows: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    """The names of a value that is told by name, in the order in which they come."""
    return list(dict.fromkeys(key for row in rows if isinstance(row.get(name), dict) for key in row[name]))


# Live charts ---------------------------------------------------------------------------------------------------------


def gains(progress: Progress) -> list[Series]:
    """Gain over the base by each judge, with its interval; judges that are trained on first."""
    judges: dict[str, bool] = {}
    for row in progress.looks:
        for name, told in (row.get("judges") or {}).items():
            judges.setdefault(name, bool(isinstance(told, dict) and told.get("trained")))
    found = []
    for name in sorted(judges, key=lambda one: not judges[one]):
        points = curve(progress.looks, "judges", name, "gain")
        ranges = [
            (float(row["round"]), low, high)
            for row in progress.looks
            if (low := value_of(row, "judges", name, "gain_low")) is not None
            and (high := value_of(row, "judges", name, "gain_high")) is not None
        ]
        label = _("%(name)s, trained on") if judges[name] else _("%(name)s, held out")
        found.append(Series(label % {"name": name}, points, ranges, dots=points))
    return found


def panels(progress: Progress) -> list[Panel]:
    """What a page shows of a run, in order. Charts that have no point yet come as None where they matter most."""
    rounds, looks = progress.rounds, progress.looks
    found = [
        Panel("gains", _("Gain over the base on the fixed cases"), chart(gains(progress), up=ZERO),
              _("By each judge on its own scale, with 95 % intervals over source images. Above 0 is better.")),
        Panel("reward", _("Reward in training"), chart([_with_spread(rounds)]),
              _("After the reward map. The lines show the spread over the edits of a round.")),
        Panel("raw", _("What the judges said in training"), chart(_by_name(rounds, "raw"))),
        Panel("shares", _("Clipped, without spread, missing"), chart([
            Series(_("clipped"), curve(rounds, "clip_fraction")),
            Series(_("groups without spread"), curve(rounds, "zero_spread")),
            Series(_("missing judgements"), curve(rounds, "missing")),
        ], up=SHARE), _("Shares of a round.")),
        Panel("distance", _("Distance from the base"), chart([
            *_both(progress, "distance", _("velocity")), Series(_("KL"), curve(rounds, "kl")),
        ])),
        Panel("preservation", _("Preserved outside the edit"), chart(_both(progress, "preservation", _("preserved"))),
              _("Higher is more alike. A fall says that the editor changes what it should leave.")),
        Panel("grid", _("Grid of the patches"), chart(_both(progress, "grid", _("grid"))),
              _("How much a pattern of the patch's size stands out. A rise is a sign of reward hacking.")),
        Panel("sharpness", _("Sharpness of the fixed cases"),
              chart([Series(_("sharpness"), curve(looks, "sharpness"))])),
        Panel("loss", _("Loss"), chart([Series(_("loss"), curve(rounds, "loss"))])),
        Panel("ratio", _("Ratio at the first update"), chart([Series(_("ratio"), curve(rounds, "ratio_first"))]),
              _("Exactly 1 before a step is taken: the path is computed again as it was sampled.")),
        Panel("norm", _("Gradient norm"), chart([Series(_("gradient norm"), curve(rounds, "grad_norm"))])),
        Panel("rate", _("Learning rate"), chart([Series(_("learning rate"), curve(rounds, "lr"))])),
        Panel("phases", _("Where the time goes"), chart(_phases(rounds), up=SHARE), _("Shares of a round's seconds.")),
        Panel("speed", _("Images a second"), chart([Series(_("images a second"), curve(rounds, "images_per_second"))])),
    ]  # fmt: skip
    first = ("gains", "reward")
    return [*(one for one in found if one.chart or one.key in first), *_others(rounds)]


def _with_spread(rounds: Sequence[Row]) -> Series:
    points = curve(rounds, "reward", "mean")
    spread = dict(curve(rounds, "reward", "std"))
    ranges = [(x, y - spread[x], y + spread[x]) for x, y in points if x in spread]
    return Series(_("mean reward"), points, ranges)


def _by_name(rows: Sequence[Row], name: str) -> list[Series]:
    return [Series(key, curve(rows, name, key)) for key in names_in(rows, name)]


def _both(progress: Progress, name: str, label: str) -> list[Series]:
    """A value of the rounds, and the same of the looks at the fixed cases; told as one number or by name."""
    found = []
    for where, rows in ((_("in training"), progress.rounds), (_("fixed cases"), progress.looks)):
        found.append(
            Series(f"{label}, {where}", curve(rows, name), dots=curve(rows, name) if rows is progress.looks else ())
        )
        found += [Series(f"{key}, {where}", curve(rows, name, key)) for key in names_in(rows, name)]
    return found


def _phases(rounds: Sequence[Row]) -> list[Series]:
    names = names_in(rounds, "seconds")
    ordered = sorted(names, key=lambda one: (PHASES.index(one) if one in PHASES else len(PHASES), one))
    labels = phase_labels()
    return [Series(labels.get(name, name), _shares(rounds, name)) for name in ordered]


def _shares(rounds: Sequence[Row], name: str) -> list[Point]:
    found = []
    for row in rounds:
        told = {key: value for key, value in (row.get("seconds") or {}).items() if is_number(value)}
        if (total := sum(told.values())) > 0:
            found.append((float(row["round"]), told.get(name, 0.0) / total))
    return found


def _others(rounds: Sequence[Row]) -> list[Panel]:
    """Numbers that only some objectives tell, such as the share of pairs that DPO orders rightly."""
    names = dict.fromkeys(
        name for row in rounds for name, value in row.items() if name not in SHOWN and is_number(value)
    )
    return [Panel(f"other-{place}", name.replace("_", " "), chart([Series(name, curve(rounds, name))]))
            for place, name in enumerate(names)]  # fmt: skip


def phase_labels() -> dict[str, str]:
    return {"sampling": _("sampling"), "reward": _("reward"), "update": _("update"), "look": _("looks")}


# Numbers -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gain:
    """A judge's row of the table of a look. ``verdict``: "better", "worse" or "" where the interval holds 0."""

    name: str
    trained: bool
    told: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        low, high = value_of(self.told, "gain_low"), value_of(self.told, "gain_high")
        if low is not None and low > 0:
            return "better"
        return "worse" if high is not None and high < 0 else ""


def gain_rows(look: Mapping[str, Any] | None) -> list[Gain]:
    """Of one look as the events tell it; judges that are trained on first."""
    judges = (look or {}).get("judges")
    rows = judges.items() if isinstance(judges, dict) else ()
    found = [Gain(name, bool(told.get("trained")), told) for name, told in rows if isinstance(told, dict)]
    return sorted(found, key=lambda one: not one.trained)


def last_gain(look: Mapping[str, Any] | None) -> Gain | None:
    """The one figure of a run in a list: by the held-out judge, else by the one that is trained on."""
    rows = gain_rows(look)
    return next((row for row in reversed(rows) if value_of(row.told, "gain") is not None), None)


@dataclass(frozen=True)
class Phase:
    name: str
    seconds: float
    share: float


def phases_of(rounds: Sequence[Row]) -> list[Phase]:
    """Seconds of all rounds by phase, with their share of the whole."""
    sums: dict[str, float] = {}
    for row in rounds:
        for name, value in (row.get("seconds") or {}).items():
            if is_number(value):
                sums[name] = sums.get(name, 0.0) + value
    total, labels = sum(sums.values()) or 1.0, phase_labels()
    return [Phase(labels.get(name, name), value, value / total) for name, value in sums.items()]


def wrong_ratios(rounds: Sequence[Row]) -> int:
    """Rounds whose ratio at the first update was not 1: then training does not see what was sampled."""
    return sum(abs(value - 1) > EXACT for _round, value in curve(rounds, "ratio_first"))


def task_rows(look: Mapping[str, Any] | None) -> tuple[list[str], list[tuple[str, list[float | None]]]]:
    """Gains by task: the judges, and for each task a gain of each."""
    tasks = (look or {}).get("tasks")
    if not isinstance(tasks, dict):
        return [], []
    names = list(dict.fromkeys(name for told in tasks.values() if isinstance(told, dict) for name in told))
    return names, [(task, [value_of(tasks, task, name) for name in names]) for task in sorted(tasks)]
