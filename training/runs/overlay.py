"""Several runs side by side: curves in one chart, edits of the same cases, settings that differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from training.reward_models.charts import Point, Series, chart
from training.runs.figures import ZERO, Panel, curve, last_gain
from training.runs.progress import Progress, read_progress, value_of
from training.runs.watching import samples_of
from webapp.jobs.models import Job

MOST = 6  # runs: as many as there are colours
SAMPLES = 12  # cases


@dataclass(frozen=True)
class Compared:
    """A run in the comparison. ``letter``: how its curves and pictures are called."""

    job: Job
    letter: str
    progress: Progress

    @property
    def name(self) -> str:
        return f"{self.letter} {self.job.config.get('name') or self.job.title}"

    @property
    def gain(self) -> Any:
        return last_gain(self.progress.latest)


@dataclass(frozen=True)
class Case:
    """A case that was looked at in some of the runs: the run's letter, the run, and the file of its edit."""

    key: str
    source: tuple[Job, str] | None
    edits: list[tuple[str, Job, str]]


def compared(jobs: Sequence[Job]) -> list[Compared]:
    return [Compared(job, chr(ord("A") + place), read_progress(job.folder)) for place, job in enumerate(jobs[:MOST])]


def panels(runs: Sequence[Compared]) -> list[Panel]:
    """The curves of all runs, one colour for each run; a chart for each judge's gain."""
    found = [
        _panel(f"gain-{place}", _("Gain on the fixed cases: %(name)s") % {"name": name}, runs, "judges", name)
        for place, name in enumerate(_judges(runs))
    ]
    return [
        *found,
        _panel("reward", _("Reward in training"), runs, "reward", "mean"),
        _panel("distance", _("Distance from the base"), runs, "distance"),
        _panel("preservation", _("Preserved outside the edit"), runs, "preservation"),
        _panel("grid", _("Grid of the patches"), runs, "grid"),
        _panel("zero", _("Groups without spread"), runs, "zero_spread"),
        _panel("missing", _("Missing judgements"), runs, "missing"),
    ]


def _panel(key: str, title: str, runs: Sequence[Compared], *path: str) -> Panel:
    if path[0] != "judges":
        series = [Series(one.name, _told(one.progress, *path), kind=_kind(n)) for n, one in enumerate(runs)]
        return Panel(key, title, chart(series))
    series = []
    for place, one in enumerate(runs):
        looks = one.progress.looks
        ends = zip(curve(looks, *path, "gain_low"), curve(looks, *path, "gain_high"), strict=False)
        ranges = [(x, low, high) for (x, low), (_x, high) in ends]
        series.append(Series(one.name, curve(looks, *path, "gain"), ranges, kind=_kind(place)))
    return Panel(key, title, chart(series, up=ZERO))


def _told(progress: Progress, *path: str) -> list[Point]:
    """Of the looks, at the same cases in all runs, where they tell it; else of the rounds."""
    return curve(progress.looks, *path) or curve(progress.rounds, *path)


def _kind(place: int) -> str:
    """Of a run: its colour stays the same in every chart, also where another run has no curve."""
    return f"s{place % MOST}"


def _judges(runs: Sequence[Compared]) -> list[str]:
    return list(dict.fromkeys(name for one in runs for look in one.progress.looks for name in look.get("judges") or {}))


def cases(runs: Sequence[Compared]) -> list[Case]:
    """Cases that most runs have looked at come first; the edits are those of each run's last look."""
    found: dict[str, Case] = {}
    for one in runs:
        for row in samples_of(one.progress.look(None)):
            case = found.setdefault(row.case, Case(row.case, (one.job, row.source) if row.source else None, []))
            if row.after:
                case.edits.append((one.letter, one.job, row.after))
    return sorted(found.values(), key=lambda one: -len(one.edits))[:SAMPLES]


def differences(runs: Sequence[Compared]) -> list[tuple[str, list[str]]]:
    """Settings that are not the same in all of them: name, value in each."""
    told = [flat(one.job.config) for one in runs]
    names = sorted({name for row in told for name in row})
    rows = [(name, [row.get(name, "–") for row in told]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def flat(config: Mapping[str, Any]) -> dict[str, str]:
    """The configuration of a run by dotted names; who judges by name alone."""
    found: dict[str, str] = {}
    for name in ("config", "reward", "data"):
        for key, value in (config.get(name) or {}).items():
            found[f"{name}.{key}"] = json.dumps(value, ensure_ascii=False)
    editor = config.get("editor") or {}
    found["editor"] = json.dumps([editor.get("module"), editor.get("settings")], ensure_ascii=False, sort_keys=True)
    for name in ("rewards", "held_out"):
        found[name] = (
            ", ".join(f"{one.get('name')} × {one.get('weight', 1):g}" for one in config.get(name) or []) or "–"
        )
    for name in ("watch", "data_hash"):
        found[name] = json.dumps(config.get(name))
    return found


def table(runs: Sequence[Compared]) -> list[tuple[Compared, dict[str, float | None]]]:
    """Of each run, what it came to: for tables of sweeps."""
    rows = []
    for one in runs:
        last = one.progress.last or {}
        told = {
            "rounds": value_of(last, "round"),
            "reward": value_of(last, "reward", "mean"),
            "distance": value_of(last, "distance"),
            "missing": value_of(last, "missing"),
            "seconds": value_of(last, "cpu_seconds"),
        }
        rows.append((one, told))
    return rows
