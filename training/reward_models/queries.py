"""Reads of reward models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, cast
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from scoring.models import Judge
from training.models import RewardModel
from training.reward_models import figures
from training.reward_models.registry import files_of, folder_of, judges_of
from training.reward_models.starting import NAME
from training.reward_models.watching import Wrong, wrong
from webapp.jobs.models import ACTIVE, Job

VERSIONS = 50  # compared on a page
PIECE = 1024 * 1024


def find(name: str) -> RewardModel:
    """By NAME or NAME@NUMBER; without a number the newest. Raises ValidationError."""
    slug, _at, number = name.partition("@")
    rows = RewardModel.objects.filter(slug=slug).order_by("-number")
    if number:
        rows = rows.filter(number=int(number) if number.isascii() and number.isdigit() and len(number) < 9 else -1)
    found = rows.first()
    if found is None:
        known = ", ".join(sorted(set(RewardModel.objects.values_list("slug", flat=True)))) or _("none")
        words = _("There is no reward model “%(name)s”. There are: %(known)s.")
        raise ValidationError(words % {"name": name, "known": known})
    return found


@dataclass(frozen=True)
class Listed:
    """A version in a list: its figures on the test part, or on the dev part where there is no other."""

    model: RewardModel
    rows: list[figures.Row]


def listed(models: Sequence[RewardModel]) -> list[Listed]:
    return [Listed(one, _best_table(one)) for one in models]


def _best_table(model: RewardModel) -> list[figures.Row]:
    tables = figures.tables_of(model.dimensions, model.metrics)
    return tables[0][2] if tables else []


def running() -> list[Job]:
    """Trainings under way. One query."""
    return list(Job.objects.filter(kind=NAME, state__in=ACTIVE).order_by("-id")[:20])


@dataclass(frozen=True)
class Version:
    """A version beside the others of its name. ``cells``: its figures in the dimensions of the version in view.
    ``changed``: settings that differ from that version's, as (name, value); ``other_set``: it learned from another."""

    model: RewardModel
    cells: list[Mapping[str, Any]]
    changed: list[tuple[str, str]]
    other_set: bool


def versions_of(model: RewardModel) -> list[Version]:
    """Newest first, the one in view among them. One query."""
    rows = RewardModel.objects.filter(slug=model.slug).select_related("labelled_set").order_by("-number")[:VERSIONS]
    return [
        Version(one, _cells(model, one), _changes(model, one), one.labelled_set_id != model.labelled_set_id)
        for one in rows
    ]


def _cells(model: RewardModel, other: RewardModel) -> list[Mapping[str, Any]]:
    found = {row.key: row.found for row in _best_table(other)}
    return [found.get(one["key"], {}) for one in model.dimensions]


def _changes(model: RewardModel, other: RewardModel) -> list[tuple[str, str]]:
    names = sorted(set(model.config) | set(other.config))
    differ = [name for name in names if model.config.get(name) != other.config.get(name)]
    return [(name, json.dumps(other.config.get(name), ensure_ascii=False)) for name in differ]


def page_of(model: RewardModel) -> dict[str, Any]:
    """Everything that a version's page shows. Four queries."""
    metrics = model.metrics
    calibration = metrics.get("calibration") or {}
    part = figures.TEST if calibration.get(figures.TEST) else figures.DEV
    worst: list[Wrong] = wrong(metrics.get("worst") or [], model.dimensions)
    judges: list[Judge] = judges_of(model)
    return {
        "model": model,
        "tables": figures.tables_of(model.dimensions, metrics),
        "baseline_names": figures.baseline_names(),
        "rule": ((metrics.get("baselines") or {}).get(figures.PIXELS) or {}).get("rule") or {},
        "reliability": figures.reliability_chart(calibration.get(part)),
        "calibration": calibration.get(part),
        "nll": metrics.get("nll") or {},
        "training": metrics.get("training") or {},
        "best_of_n": metrics.get("best_of_n") or {},
        "worst": worst,
        "judges": judges,
        "versions": versions_of(model),
        "config": json.dumps(model.config, indent=2, ensure_ascii=False),
    }


# The files -----------------------------------------------------------------------------------------------------------


class _Pieces:
    """What ZipFile writes, until it is taken: a file that cannot be rewound."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        found, self.parts = b"".join(self.parts), []
        return found


def zip_of(model: RewardModel) -> Iterator[bytes]:
    """The checkpoint as a zip, piece by piece: no copy of it is made. The same version is the same bytes."""
    folder, pieces = folder_of(model), _Pieces()
    with ZipFile(cast(IO[bytes], pieces), "w", ZIP_STORED) as file:
        for path in files_of(folder):
            info = ZipInfo(f"{model.slug}-v{model.number}/{path.relative_to(folder).as_posix()}")
            info.external_attr = 0o644 << 16
            with path.open("rb") as opened, file.open(info, "w", force_zip64=True) as target:
                while data := opened.read(PIECE):
                    target.write(data)
                    yield pieces.take()
    yield pieces.take()
