"""Starting a training: what is refused before a worker is kept busy with it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from annotation.models import StoredImage
from training.models import LabelledSet, SetState
from training.reward_models.estimate import estimate
from training.reward_models.registry import slug_of
from training.rewards.config import Config
from training.rewards.groups import DEV, TRAIN, Group
from training.sets.placing import SET, open_set
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError
from webapp.jobs.models import Job

NAME = "reward-train"
LOOKED_AT = 50  # groups whose pictures are looked for; the job looks at all of them
DRAWN_SIDE = 64  # pixels of the drawn world's pictures
FEWEST = 2  # groups of a part


def start_training(*, labelled_set: LabelledSet, name: str, config: Config, note: str = "", by: User | None) -> Job:
    """A job that trains a version of the reward model ``name``. Raises ValidationError."""
    slug_of(name)
    problems = problems_of(labelled_set, config)
    if problems:
        raise ValidationError(problems)
    told = {
        "config": config.to_json(),
        "set": SET,
        "init": "",
        "labelled_set": str(labelled_set.uid),
        "name": name.strip(),
        "note": note.strip(),
    }
    title = _("Train %(name)s on %(set)s") % {"name": name.strip(), "set": labelled_set.name}
    return jobs.start(kind=NAME, title=title, config=told, by=by)


def problems_of(labelled_set: LabelledSet, config: Config) -> list[str]:
    """Why this training cannot be done; empty if nothing is known against it."""
    if labelled_set.state != SetState.READY:
        return [_("The training set is not ready yet. Wait until its job is done.")]
    found = []
    splits = labelled_set.facts.get("splits") or {}
    if splits.get(TRAIN, 0) < FEWEST:
        found.append(_("The training set has too few groups in its train part. Freeze one from more judgements."))
    if splits.get(DEV, 0) < 1:
        found.append(
            _("The training set has no groups in its dev part, which tells when to stop. It needs more source images.")
        )
    if not labelled_set.dimensions:
        found.append(_("The training set has no dimension."))
    if config.backbone == "transformers" and not config.model:
        found.append(_("Name the vision-language model: a folder on the GPU machine, or a Hub id."))
    missing = missing_pictures(labelled_set)
    if missing:
        words = _("%(n)d of the first pictures of the training set are not in the library any more.")
        found.append(words % {"n": missing})
    if not found and (problem := estimate(labelled_set, config).problem):
        found.append(problem)
    return found


def head(labelled_set: LabelledSet, most: int = LOOKED_AT) -> list[Group]:
    """The first groups; none where the manifest cannot be read: the job says what is wrong with it."""
    try:
        return list(islice(open_set(labelled_set)[1], most))
    except JobError:
        return []


def _pictures(groups: Sequence[Group]) -> set[str]:
    return {picture for group in groups for picture in (group.source, *(one.image for one in group.candidates))}


def missing_pictures(labelled_set: LabelledSet) -> int:
    """Of the first groups. One query."""
    wanted = _pictures(head(labelled_set))
    return len(wanted) - StoredImage.objects.filter(sha256__in=wanted).count() if wanted else 0


def usual_backbone(labelled_set: LabelledSet) -> str:
    """The small network where the first pictures are of the drawn world's size, else a vision-language model."""
    wanted = _pictures(head(labelled_set))
    sides = set(StoredImage.objects.filter(sha256__in=wanted).values_list("width", "height").distinct())
    return "drawn" if not sides or sides == {(DRAWN_SIDE, DRAWN_SIDE)} else "transformers"
