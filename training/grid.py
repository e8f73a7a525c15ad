"""The grid of a generation job: cases × editors × seeds, cut into parts that several workers share."""

from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from annotation.assign import seeded
from annotation.inputs import local_path
from annotation.library import settings_hash
from annotation.models import Candidate, Case, Dataset, Editor
from training.editors import local_program
from webapp.jobs.folder import JobError

ALONE = 64  # images that one worker makes quicker than two: each would load the editor
LEAST, MOST = 100, 500  # images of a part: loading an editor takes as long as making some dozens
PARTS = 32  # that a job of middling size is cut into

Config = dict[str, Any]


def cases_of(dataset: Dataset, config: Config) -> QuerySet[Case]:
    """The cases of a job, or of the part that the configuration is for."""
    cases = Case.objects.filter(dataset=dataset).order_by("id")
    if config["tasks"]:
        cases = cases.filter(task__in=config["tasks"])
    if config.get("splits"):
        cases = cases.filter(split__in=config["splits"])
    if config.get("only"):
        cases = cases.filter(pk__in=config["only"])
    if "cases" in config:
        return cases.filter(id__range=config["cases"])
    return cases[: config["limit"]] if config["limit"] else cases


def editors_of(config: Config) -> list[Editor]:
    """Raises JobError where one was deleted: without it the grid would look complete and not be."""
    found = list(Editor.objects.filter(slug__in=config["editors"]))
    if missing := sorted(set(config["editors"]) - {editor.slug for editor in found}):
        raise JobError(_("The editor %(names)s was deleted.") % {"names": ", ".join(missing)})
    return found


def count(dataset: Dataset, config: Config) -> int:
    """Images of the whole grid, whether they are there already or not."""
    editors, sample, seeds = len(config["editors"]), int(config["sample"]), int(config["seeds"])
    return cases_of(dataset, config).count() * min(editors, sample or editors) * seeds


def parts(config: Config) -> list[tuple[Config, int]]:
    """The job cut by editor, so that each part loads one, and by ranges of cases. A small job is left whole."""
    dataset = Dataset.objects.filter(uid=config["dataset"]).first()
    if dataset is None or count(dataset, config) <= ALONE:
        return []
    size = min(MOST, max(LEAST, ceil(count(dataset, config) / PARTS)))
    step = max(1, size // config["seeds"])
    chosen: dict[str, list[int]] = {slug: [] for slug in config["editors"]}
    for pk, key in cases_of(dataset, config).values_list("pk", "key"):
        for slug in _drawn(config, key):
            chosen[slug].append(pk)
    found = []
    for slug, drawn in chosen.items():
        for start in range(0, len(drawn), step):
            part = drawn[start : start + step]
            own = {**config, "editors": [slug], "drawn_from": config["editors"], "cases": [part[0], part[-1]]}
            found.append((own, len(part) * config["seeds"]))
    return found


def _drawn(config: Config, key: str) -> set[str]:
    """The editors of one case: all, or as many as the sample has, drawn by a chance that is the case's own."""
    slugs: list[str] = sorted(config.get("drawn_from") or config["editors"])
    if not config["sample"] or config["sample"] >= len(slugs):
        return set(slugs)
    return set(seeded("editors", config["sample_seed"], key).sample(slugs, config["sample"]))


def items(dataset: Dataset, config: Config, folder: Path) -> Iterator[dict[str, Any]]:
    """One row an image to make, for the program that makes them. Images that the library has already, made with the
    same settings, are left out."""
    editors = editors_of(config)
    programs = {editor.pk: local_program(editor, folder) for editor in editors}
    had = _had(dataset, config, editors)
    for case in cases_of(dataset, config).select_related("source", "mask"):
        drawn = _drawn(config, case.key)
        row = _case(case, folder)
        for editor in editors:
            for seed in range(config["seeds"]) if editor.slug in drawn else ():
                key = f"{case.pk}/{editor.pk}/{seed}"
                if key not in had:
                    yield {"key": key, "editor": programs[editor.pk], "seed": seed, "case": row}


def _had(dataset: Dataset, config: Config, editors: list[Editor]) -> set[str]:
    """Keys of the images that are there, made with the settings that the editors have now."""
    hashes = {editor.pk: settings_hash(editor.settings) for editor in editors}
    cases = cases_of(dataset, config).values("pk")
    rows = Candidate.objects.filter(case__in=cases, editor__in=editors, seed__lt=config["seeds"])
    values = rows.values_list("case_id", "editor_id", "seed", "settings_hash").iterator(chunk_size=5000)
    return {f"{case}/{editor}/{seed}" for case, editor, seed, found in values if found == hashes[editor]}


def _case(case: Case, folder: Path) -> dict[str, Any]:
    return {
        "key": case.key,
        "source": local_path(case.source.original, folder),
        "mask": local_path(case.mask.original, folder) if case.mask else None,
        "instruction": case.instruction,
        "description": case.description,
        "task": case.task_id,
        "params": case.params,
    }
