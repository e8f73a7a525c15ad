"""The rows of an export: those of a version's manifest that the options ask for, with the files of their images."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from django.core.files.storage import default_storage
from django.utils.translation import gettext as _

from annotation.library import Group, Values
from annotation.models import DatasetVersion, StoredImage
from annotation.versions import manifest
from annotation.versions.facts import usable
from webapp.jobs.folder import JobError

BATCH = 200  # cases whose images are looked up at once


@dataclass(frozen=True)
class Options:
    """``usable``: leave out what the output checks set aside. ``views``: the copies for viewing, not the originals."""

    usable: bool = True
    views: bool = False


@dataclass(frozen=True)
class Picture:
    """The file of an image. ``name``: in an export, by content."""

    sha256: str
    name: str
    stored: str

    def read(self) -> bytes:
        try:
            with default_storage.open(self.stored) as file:
                data: bytes = file.read()
        except FileNotFoundError as error:
            message = _("The file %(name)s is gone from the storage. Restore it from a backup, then resume this job.")
            raise JobError(message % {"name": self.stored}) from error
        return data


@dataclass(frozen=True)
class Exported:
    """A case with the candidates that go out, and the pictures of both by hash."""

    case: Values
    candidates: list[Values]
    pictures: dict[str, Picture]

    @property
    def source(self) -> Picture:
        return self.pictures[self.case["source"]]

    @property
    def mask(self) -> Picture | None:
        return self.pictures[self.case["mask"]] if self.case["mask"] else None


def exported(
    version: DatasetVersion, options: Options, look: Callable[[int], None], split: str = ""
) -> Iterator[Exported]:
    """The cases of a version, or of one split. ``look`` is called now and then with the number of cases gone by."""
    groups, done = _wanted(manifest.read(version), options), 0
    while batch := list(islice(groups, BATCH)):
        look(done)
        done += len(batch)
        chosen = [group for group in batch if split in ("", group[0]["split"])]
        pictures = _pictures(chosen, options)
        for case, candidates in chosen:
            yield Exported(case, candidates, pictures)


def _wanted(groups: Iterable[Group], options: Options) -> Iterator[Group]:
    for case, candidates in groups:
        yield case, [row for row in candidates if usable(row) or not options.usable]


def _pictures(groups: list[Group], options: Options) -> dict[str, Picture]:
    wanted = {case["source"] for case, _rows in groups} | {case["mask"] for case, _rows in groups if case["mask"]}
    wanted |= {row["image"] for _case, rows in groups for row in rows}
    found = {row.sha256: _picture(row, options) for row in StoredImage.objects.filter(sha256__in=wanted)}
    if missing := wanted - found.keys():
        message = _("Images of this version were deleted (%(n)d of the first cases, such as %(image)s…).")
        raise JobError(message % {"n": len(missing), "image": min(missing)[:12]})
    return found


def _picture(row: StoredImage, options: Options) -> Picture:
    stored = row.view if options.views else row.original
    name = f"images/{row.sha256[:2]}/{row.sha256}{PurePosixPath(stored).suffix}"
    return Picture(row.sha256, name, stored)


# Columns ------------------------------------------------------------------------------------------------------------

CASE_TEXTS = (
    "key", "task", "split", "category", "instruction", "instruction_zh", "description", "requirement", "attribution",
    "licence",
)  # fmt: skip


def case_columns(case: Values, dumps: Callable[[Any], Any]) -> Values:
    """Everything of a case but its pictures. ``dumps``: what is done with JSON, for formats without it."""
    columns = {name: case[name] or "" for name in CASE_TEXTS}
    images = {"source_sha256": case["source"], "mask_sha256": case["mask"] or ""}
    return {**columns, "params": dumps(case["params"]), **images}


def candidate_columns(candidate: Values, dumps: Callable[[Any], Any]) -> Values:
    """Everything of a candidate but its picture."""
    names = ("editor", "seed", "noise_seed", "settings_hash", "fault", "fault_note")
    return {
        **{name: candidate[name] for name in names},
        "settings": dumps(candidate["settings"]),
        "kept": candidate["kept"],
        "usable": usable(candidate),
        "sha256": candidate["image"],
    }
