"""What is true of a study's candidates: the drawn world's scores, from the cases' data and the stored originals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from numpy.typing import NDArray

from annotation.importing.images import decode
from annotation.importing.problems import ImportProblem
from annotation.models import Candidate, Case, Dataset, Study
from annotation.simulation.annotators import Facts, Shown
from drawnworld.edits import Edit, apply, edit_mask
from drawnworld.render import render
from drawnworld.scene import SIZE, Scene, SceneError
from drawnworld.score import true_score

ROUGHEST = 0.08  # mean difference of a pixel from its neighbours, in 0 to 1, that leaves no quality
CHUNK = 200

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Answer:
    """A case with its exact answer, drawn again from its data."""

    source: Image
    target: Image
    mask: NDArray[np.bool_]


def is_drawn(dataset: Dataset) -> bool:
    """Whether the data set looks like the drawn world: its first case has a scene and an edit. For offering a form."""
    first = dataset.cases.order_by("pk").values_list("params", flat=True).first()
    return isinstance(first, dict) and {"scene", "edit"} <= set(first)


def refuse_others(study: Study) -> None:
    """Raise ValidationError where a case of the study is not of the drawn world."""
    strange = [key for key, params in _cases(study).values_list("key", "params") if not _is_edit(params)]
    if strange:
        words = ngettext(
            "%(n)d case of this study is not of the drawn world, so nobody knows what is true of its candidates: "
            "%(keys)s. Nothing was simulated.",
            "%(n)d cases of this study are not of the drawn world, so nobody knows what is true of their candidates: "
            "%(keys)s. Nothing was simulated.",
            len(strange),
        )
        shown = ", ".join(strange[:3]) + (" …" if len(strange) > 3 else "")
        raise ValidationError(words % {"n": len(strange), "keys": shown})


def facts_of(study: Study, check: Callable[[], None]) -> dict[int, Shown]:
    """Of every candidate of the study, controls too, by its key: its name and what is true of it.

    Raises ValidationError.

    ``check`` is called now and then, and may raise to end it.
    """
    refuse_others(study)
    found: dict[int, Shown] = {}
    keys = list(_cases(study).values_list("pk", flat=True))
    for start in range(0, len(keys), CHUNK):
        check()
        cases = {row.pk: row for row in Case.objects.filter(pk__in=keys[start : start + CHUNK])}
        drawn = {pk: answer_of(row.params) for pk, row in cases.items()}
        candidates = Candidate.everything.filter(items__study=study, case__in=cases).distinct()
        for candidate in candidates.select_related("image", "editor"):
            picture = _picture(candidate, cases[candidate.case_id].key)
            parts = (cases[candidate.case_id].key, candidate.editor.slug, candidate.seed, candidate.settings_hash)
            facts = facts_about(drawn[candidate.case_id], picture)
            found[candidate.pk] = Shown("/".join(map(str, parts)), facts)
    return found


def answer_of(params: dict[str, Any]) -> Answer:
    """The pictures of a case from its data. Raises SceneError for data of something else."""
    scene, edit = Scene.from_json(params["scene"]), Edit.from_json(params["edit"])
    return Answer(render(scene), render(apply(scene, edit)), edit_mask(scene, edit))


def facts_about(answer: Answer, edited: Image) -> Facts:
    """The true score of the drawn world, with its parts, and the quality of the picture."""
    score = true_score(answer.source, answer.target, answer.mask, edited)
    return Facts(score.follow, score.keep, quality(answer, edited), score.score)


def quality(answer: Answer, edited: Image) -> float:
    """How clean a picture is, 0 to 1, whatever it shows: 1 - |excess| / 0.08.

    The excess is what its roughness has above the rougher, or lacks below the smoother, of source and target; roughness
    is the mean absolute difference of a pixel and the mean of its four neighbours, in 0 to 1. Grain raises it, blur
    lowers it, and neither a wrong object nor a shift in colour does much to it.
    """
    low, high = sorted((roughness(answer.source), roughness(answer.target)))
    mine = roughness(edited)
    excess = max(mine - high, low - mine, 0.0)
    return min(max(1 - excess / ROUGHEST, 0.0), 1.0)


def roughness(image: Image) -> float:
    values = image.astype(np.float64) / 255
    around = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:]
    return float(np.abs(values[1:-1, 1:-1] - around / 4).mean())


def _cases(study: Study) -> QuerySet[Case]:
    return Case.objects.filter(pk__in=study.items.values("case")).order_by("pk")


def _is_edit(params: Any) -> bool:
    """Whether the data of a case are a scene and an edit of it."""
    try:
        apply(Scene.from_json(params["scene"]), Edit.from_json(params["edit"]))
    except (SceneError, KeyError, TypeError):
        return False
    return True


def _picture(candidate: Candidate, key: str) -> Image:
    """The pixels of a candidate as they were imported: not the viewing copy, and neither enlarged nor made smaller."""
    about = {"case": key, "editor": candidate.editor.slug}
    try:
        pixels = np.asarray(decode(candidate.image.read_original()))
    except (ImportProblem, OSError) as error:
        words = _("The image of %(case)s by %(editor)s cannot be read (%(reason)s). Nothing was simulated.")
        raise ValidationError(words % {**about, "reason": error}) from error
    if pixels.shape != (SIZE, SIZE, 3):
        height, width = pixels.shape[:2]
        words = _(
            "The image of %(case)s by %(editor)s has %(width)d × %(height)d pixels, and the drawn world has "
            "%(size)d × %(size)d: its true score cannot be told. Nothing was simulated."
        )
        raise ValidationError(words % {**about, "width": width, "height": height, "size": SIZE})
    return pixels
