"""What is wrong with a recipe before it is started, beside the fields of its form."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from annotation.curation.queries import cells_of
from annotation.curation.services import slug_of
from annotation.models import Dataset, Editor, Task
from scoring.asking.backends import backend
from scoring.filtering.services import scorers_by
from scoring.models import Judge
from training import fit
from training.generation import MOST
from training.models import Recipe, RecipeState
from training.recipes.plan import Settings, without_number
from training.recipes.queries import estimate_of
from webapp.endpoints.http import CHAT
from webapp.endpoints.models import Endpoint

Problem = tuple[str, str]  # field of the form or "", and words
MOST_OF_SCALE = 100


def drawn_name(name: str) -> str:
    """The name of the balanced data set, which holds the candidates."""
    return f"{name} (candidates)"


def check(*, dataset: Dataset, name: str, wish: Settings) -> None:
    """Raises ValidationError by field with everything that is wrong."""
    errors: dict[str, list[str]] = defaultdict(list)
    for problems in (_name(name), _tasks(dataset, wish), _services(wish), _editors(wish), _judge(wish), _rule(wish)):
        for field, words in problems:
            errors[field].append(words)
    if not errors:
        for field, words in _size(dataset, wish):
            errors[field].append(words)
    if errors:
        raise ValidationError(dict(errors))


def _name(name: str) -> Iterator[Problem]:
    try:
        slugs = [slug_of(name), slug_of(drawn_name(name))]
    except ValidationError as error:
        yield "name", error.messages[0]
        return
    if taken := Dataset.objects.filter(slug__in=slugs).first():
        yield "name", _("There is a data set “%(name)s” already. Choose another name.") % {"name": taken.name}
    open_names = Recipe.objects.exclude(state=RecipeState.DONE).values_list("name", flat=True)
    if slugs[0] in {slug_of(other) for other in open_names}:
        yield "name", _("A recipe of this name is not done yet. Choose another name.")


def _tasks(dataset: Dataset, wish: Settings) -> Iterator[Problem]:
    supply = cells_of(dataset)
    if not supply:
        yield "", _("This data set has no source images yet. Import some first.")
        return
    if not wish.tasks:
        yield "", _("Choose at least one task.")
    names = dict(Task.objects.filter(pk__in=wish.tasks).values_list("slug", "name"))
    for task in without_number(wish.preset, wish.tasks):
        words = _("Table S6 has no number for %(task)s. Leave the task out, or give own numbers.")
        yield f"target_{task}", words % {"task": names.get(task, task)}
    for task in wish.tasks:
        if not wish.endpoint and not supply.get(task):
            yield f"task_{task}", _("No case of this task. Choose an endpoint for instructions, or leave it out.")


def _services(wish: Settings) -> Iterator[Problem]:
    if not wish.endpoint:
        return
    found = Endpoint.objects.filter(slug=wish.endpoint).first()
    if found is None:
        yield "endpoint", _("The endpoint “%(slug)s” was deleted.") % {"slug": wish.endpoint}
    elif found.kind != CHAT:
        yield "endpoint", _("“%(name)s” edits images. Choose an endpoint for chat.") % {"name": found.name}
    elif wish.most_cost is not None and (found.price_input is None or found.price_output is None):
        words = _("Costs of “%(name)s” are not known: give it prices of tokens, or leave the limit empty.")
        yield "most_cost", words % {"name": found.name}


def _editors(wish: Settings) -> Iterator[Problem]:
    rows, machines = {row.slug: row for row in Editor.objects.filter(slug__in=wish.editors)}, fit.workers()
    if not wish.editors:
        yield "editors", _("Choose at least one editor.")
    for slug in wish.editors:
        row = rows.get(slug)
        if row is None:
            yield "editors", _("The editor %(names)s was deleted.") % {"names": slug}
        elif not row.module:
            yield "editors", _("No program makes images for %(names)s: they were made elsewhere.") % {"names": row.name}
        elif words := fit.problem(row, machines):
            yield "editors", f"{row.name}: {words}"


def _judge(wish: Settings) -> Iterator[Problem]:
    judge = Judge.objects.filter(slug=wish.judge).first()
    if judge is None:
        yield "judge", _("Choose a judge. It scores the candidates.")
        return
    found = backend(judge.kind)
    if found is None:
        yield "judge", _("There is no kind of judge “%(kind)s”.") % {"kind": judge.kind}
        return
    try:
        found.identity(judge.settings)
    except ValidationError as error:
        yield "judge", " ".join(error.messages)
        return
    if wish.most_cost is not None and not found.priced(judge.settings):
        words = _("Costs of “%(name)s” are not known: give its endpoint prices, or leave the limit empty.")
        yield "most_cost", words % {"name": judge.name}


def _rule(wish: Settings) -> Iterator[Problem]:
    for task in wish.tasks:
        if task not in wish.rule.tasks:
            words = _("No scoring prompt for the overall score of this task has a version. Write one, or leave it out.")
            yield f"task_{task}", words
    try:
        scorers = scorers_by(wish.rule)
    except ValidationError as error:
        yield "", " ".join(error.messages)
        return
    for task, one in wish.rule.tasks.items():
        prompt = scorers[task].version.prompt
        low, high = (0, MOST_OF_SCALE) if one.knots else (prompt.low, prompt.high)
        if one.threshold is not None and not low < one.threshold <= high:
            words = _("Above %(low)s and up to %(high)s. Leave it empty to drop nothing of this task.")
            yield f"threshold_{task}", words % {"low": low, "high": high}


def _size(dataset: Dataset, wish: Settings) -> Iterator[Problem]:
    found = estimate_of(dataset, wish)
    if not found.drawn:
        yield "", _("This draws no case at all. Change the targets or the share of uncategorised cases.")
    elif found.images > MOST:
        words = _("This would make %(count)d images. Choose between 1 and %(most)d.")
        yield "", words % {"count": found.images, "most": MOST}
