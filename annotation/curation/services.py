"""Writes: what source images show, the splits of a data set, and balanced data sets."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.curation import queries
from annotation.curation.balance import Recipe, allocate, draw, shortages, supply_of
from annotation.curation.categorisers import PERSON, Verdict
from annotation.curation.phash import NEAR
from annotation.curation.splits import Piece, split_sources
from annotation.models import Case, Category, Dataset, Source, Split, StoredImage
from webapp.accounts.models import User

ROWS = 2000
UNDO = "annotation.curation.undo"
UNDO_SECONDS = 24 * 3600


class NothingToUndo(Exception):
    """The token of an undo is forged or old, or the image is gone."""


def load_categories() -> int:
    """Make the rows of categories.json; safe to repeat. Returns how many there are."""
    path = Path(__file__).parent.parent / "categories.json"
    rows = [Category(position=place, **row) for place, row in enumerate(json.loads(path.read_text(encoding="utf-8")))]
    fields = ["name", "group", "position"]
    Category.objects.bulk_create(rows, update_conflicts=True, unique_fields=["slug"], update_fields=fields)
    return len(rows)


# Categories ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def record(*, verdicts: Sequence[Verdict], by: User | None = None) -> int:
    """Keep what a categoriser said. Returns how many images that concerned.

    What a person said stands: a model's verdict on such an image changes nothing. Images that are gone and names that
    are no category are passed over.
    """
    names = set(Category.objects.values_list("slug", flat=True))
    images = StoredImage.objects.filter(pk__in=[one.image for one in verdicts]).values_list("pk", flat=True)
    Source.objects.bulk_create([Source(image_id=image) for image in images], ignore_conflicts=True)
    changed = 0
    for one in verdicts:
        if one.category is not None and one.category not in names:
            continue
        rows = Source.objects.filter(image=one.image)
        rows = rows if one.method == PERSON else rows.exclude(method=PERSON)
        facts = {"category": one.category, "method": one.method, "score": one.score, "categorised_by": by}
        changed += rows.update(**facts)
    return changed


@transaction.atomic
def tag(*, image: StoredImage, category: str | None, by: User) -> str:
    """A person's word on an image; None: none of the categories. Returns the token that takes it back.

    Raises ValidationError for a name that is no category.
    """
    if category is not None and not Category.objects.filter(pk=category).exists():
        raise ValidationError(_("“%(name)s” is no category.") % {"name": category})
    before = Source.objects.filter(image=image).values("category", "method", "score", "categorised_by").first()
    record(verdicts=[Verdict(image.pk, category, PERSON)], by=by)
    return signing.dumps({"image": image.pk, "before": before}, salt=UNDO)


def untag(*, token: str) -> StoredImage:
    """Take a tag back: the image is as it was before. Safe to repeat. Raises NothingToUndo."""
    try:
        value = signing.loads(token, salt=UNDO, max_age=UNDO_SECONDS)
    except signing.BadSignature as error:
        raise NothingToUndo from error
    before = value["before"] or {"category": None, "method": "", "score": None, "categorised_by": None}
    facts = {("categorised_by_id" if name == "categorised_by" else name): found for name, found in before.items()}
    image = StoredImage.objects.filter(pk=value["image"]).first()
    if image is None or not Source.objects.filter(image=image).update(**facts):
        raise NothingToUndo
    return image


# Splits --------------------------------------------------------------------------------------------------------------


@transaction.atomic
def apply_splits(*, dataset: Dataset, fractions: dict[str, float], seed: int, near: bool) -> dict[str, int]:
    """Divide a data set by source image. Returns the number of cases of each split. Raises ValidationError.

    ``near``: source images that look the same stay together. A data set with studies keeps its splits: exports name
    them, and the same export twice must be the same.
    """
    if study := dataset.studies.order_by("id").first():
        message = _(
            "The study “%(study)s” was made from these cases, and its exports name their splits. "
            "Make a copy of the data set (a draw of all cases) and divide the copy."
        )
        raise ValidationError(message % {"study": study.name})
    pieces = dataset.cases.order_by().values_list("source__sha256", "task")
    found = split_sources((Piece(*piece) for piece in pieces), fractions, seed, _tied(dataset) if near else [])
    if not found:
        raise ValidationError(_("This data set has no cases yet."))
    chosen: dict[str, list[str]] = defaultdict(list)
    for source, split in found.items():
        chosen[split].append(source)
    counts = {split: _move(dataset, split, chosen[split]) for split in Split.values}
    used = {"fractions": fractions, "seed": seed, "near_duplicate_bits": NEAR if near else None, "cases": counts}
    dataset.recipe = {**dataset.recipe, "splits": used}
    dataset.save(update_fields=["recipe"])
    return counts


def _tied(dataset: Dataset) -> list[list[str]]:
    """Groups of near-duplicates, by the hash of their content. Every source must have a perceptual hash."""
    names = dict(queries.sources_of(dataset).values_list("pk", "sha256"))
    if missing := len(names) - len(queries.hashes_of(dataset)):
        message = ngettext(
            "%(count)d source image has no perceptual hash yet. Compute the hashes on the page “Categories” first.",
            "%(count)d source images have no perceptual hash yet. Compute the hashes on the page “Categories” first.",
            missing,
        )
        raise ValidationError(message % {"count": missing})
    return [[names[image] for image in group.images] for group in queries.near_duplicates(dataset)]


def _move(dataset: Dataset, split: str, sources: list[str]) -> int:
    moved = 0
    for start in range(0, len(sources), ROWS):
        images = StoredImage.objects.filter(sha256__in=sources[start : start + ROWS])
        moved += Case.objects.filter(dataset=dataset, source__in=images.values("pk")).update(split=split)
    return moved


# Balanced data sets --------------------------------------------------------------------------------------------------


@transaction.atomic
def make_balanced(*, dataset: Dataset, name: str, recipe: Recipe, by: User | None) -> Dataset:
    """A new data set of the cases that the recipe draws. Raises ValidationError."""
    rows = queries.rows_of(dataset)
    supply = supply_of(rows)
    plan = allocate(supply, recipe.targets, recipe.share, recipe.seed)
    chosen = set(draw(rows, plan, recipe.seed))
    if not chosen:
        raise ValidationError(_("This draws no case at all. Change the targets or the share of uncategorised cases."))
    return derive(
        dataset=dataset,
        name=name,
        description=_("%(count)d cases drawn from %(name)s.") % {"count": len(chosen), "name": dataset.name},
        recipe={
            "kind": "balance",
            **recipe.to_json(),
            "before": supply,
            "after": {task: {name: count for name, count in cells.items() if count} for task, cells in plan.items()},
            "missing": {short.task: short.missing for short in shortages(supply, recipe.targets, plan)},
        },
        keys=chosen,
        by=by,
    )


@transaction.atomic
def derive(
    *,
    dataset: Dataset,
    name: str,
    description: str,
    recipe: dict[str, Any],
    keys: set[str],
    by: User | None,
    notice: str = "",
) -> Dataset:
    """A new data set of the cases with these keys, their splits and source images. Raises ValidationError.

    Candidates stay with the old cases: a data set to train on starts without them, and they can be made again.
    ``notice``: instead of the old one's.
    """
    slug = slug_of(name)
    if Dataset.objects.filter(slug=slug).exists():
        raise ValidationError({"name": _("There is a data set of this name already.")})
    made = Dataset(
        slug=slug,
        name=name,
        description=description,
        notice=notice or dataset.notice,
        created_by=by,
        derived_from=dataset,
        recipe={"from": dataset.slug, **recipe},
    )
    made.full_clean()
    made.save()
    _copy_cases(dataset, made, keys)
    return made


def slug_of(name: str) -> str:
    """The short name that a data set of this name gets. Raises ValidationError where nothing is left of it."""
    slug = slugify(name)[:80]
    if not slug:
        raise ValidationError({"name": _("Give the new data set a name with at least one letter or digit.")})
    return slug


def _copy_cases(dataset: Dataset, made: Dataset, keys: set[str]) -> None:
    own = {"id", "uid", "created_at", "dataset_id"}  # everything else is the case's content
    names = [field.attname for field in Case._meta.concrete_fields if field.attname not in own]
    cases = dataset.cases.order_by("pk")
    wanted = [pk for pk, key in cases.values_list("pk", "key") if key in keys]
    for start in range(0, len(wanted), ROWS):
        batch = cases.filter(pk__in=wanted[start : start + ROWS])
        Case.objects.bulk_create(Case(dataset=made, **{name: getattr(case, name) for name in names}) for case in batch)
