"""Starting a run: what is refused before a worker is kept busy with it, and the job's configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from annotation.models import Dataset, Editor, StoredImage
from training.models import LabelledSet
from training.posttraining.config import GIVEN, SFT, Config
from training.posttraining.rewards import RewardSpec
from training.runs import judges
from training.runs.data import LOOK, TRAIN, Chosen, Wanted, choose
from training.runs.estimate import Estimate, estimate
from training.runs.settings import MODULES
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.models import Job

NAME = "posttrain"
CASES, EXAMPLES = "cases.jsonl", "examples.jsonl"
DRAWN_SIDE = 64  # pixels of the drawn world's pictures
CHUNK = 500
Specs = tuple[dict[str, Any], ...]  # judges as the job is told of them


@dataclass(frozen=True)
class Wish:
    """A run as it is asked for. ``rewards``: weight by judge, as training.runs.judges names them; ``held_out``: judges
    that are never trained on."""

    name: str
    base: Editor
    config: Config
    data: Wanted
    rewards: Mapping[str, float] = field(default_factory=dict)
    held_out: tuple[str, ...] = ()
    shape: RewardSpec = field(default_factory=RewardSpec)
    watch: bool = True
    note: str = ""

    @property
    def wanted(self) -> Wanted:
        """The data with what the configuration says of it."""
        return replace(self.data, look=self.config.look_cases, seed=self.config.seed)


@dataclass(frozen=True)
class Checked:
    """What a wish comes to. ``estimate`` is None where there is nothing to reckon with."""

    problems: list[str]
    chosen: Chosen | None = None
    estimate: Estimate | None = None
    rewards: Specs = ()
    held_out: Specs = ()


def check(wish: Wish, choosing: Callable[[Wanted], Chosen] = choose) -> Checked:
    """Everything that is known against the run; no problem: it can start. ``choosing``: a sweep remembers what it chose
    for a run with the same cases."""
    problems = [*_about_editor(wish), *_about_judges(wish)]
    chosen: Chosen | None = None
    rewards: Specs = ()
    held_out: Specs = ()
    try:
        chosen = choosing(wish.wanted)
    except ValidationError as error:
        problems += error.messages
    else:
        problems += [*_about_examples(wish, chosen), *_about_sizes(wish, chosen)]
        try:
            rewards, held_out = _specs(wish, chosen)
        except ValidationError as error:
            problems += error.messages
    found = None
    if chosen and wish.base.module in MODULES:
        found = estimate(wish.base, wish.config, chosen, (len(wish.rewards), len(wish.held_out)))
        problems += [found.problem] if found.problem else []
    return Checked(problems, chosen, found, rewards, held_out)


def _about_editor(wish: Wish) -> list[str]:
    found = []
    slug = slugify(wish.name)[:80].strip("-_")
    if not slug:
        found.append(_("Name the trained editor with at least one Latin letter or digit."))
    elif Editor.objects.filter(slug=slug).exists():
        found.append(_("There is an editor called “%(name)s” already. Take another name.") % {"name": wish.name})
    if wish.base.module not in MODULES:
        words = _("“%(name)s” cannot be post-trained. These can: %(modules)s.")
        found.append(words % {"name": wish.base.name, "modules": ", ".join(MODULES)})
    elif wish.base.settings.get("lora"):
        words = _("“%(name)s” has a LoRA already, and a run trains a new one from a base without. Choose its base.")
        found.append(words % {"name": wish.base.name})
    return found


def _about_judges(wish: Wish) -> list[str]:
    found = []
    if wish.config.data == GIVEN and not wish.config.is_online and not wish.data.has_examples:
        found.append(
            _("These settings learn from edits that are there. Choose a training set, or who scored the data set.")
        )
    if wish.data.has_examples and (wish.config.is_online or wish.config.data != GIVEN):
        words = _("These settings make their own edits. Leave the examples empty, or choose the preset global-dpo.")
        found.append(words)
    if not wish.rewards:
        found.append(_("Choose who gives the reward. A run that learns from given edits is looked at with it as well."))
    if not any(wish.rewards.values()) and wish.rewards:
        found.append(_("Every weight is 0. Give one source of reward a weight above 0."))
    for one in wish.held_out:
        if same := [name for name in wish.rewards if judges.same(name, one)]:
            words = _("“%(name)s” gives the reward and cannot be the held-out judge too: it would not see cheating.")
            found.append(words % {"name": judges.label(same[0])})
    if wish.watch and not wish.held_out:
        found.append(_("The watch needs a held-out judge. Choose one, or switch the watch off."))
    return found


def _about_examples(wish: Wish, chosen: Chosen) -> list[str]:
    needed = "score" if wish.config.objective == SFT else "rank"
    if not chosen.examples or any(row[needed] is not None for row in chosen.examples):
        return []
    if needed == "score":
        return [
            _("Fine-tuning on the best needs scores, and these edits have ranks alone. Choose the preset global-dpo.")
        ]
    return [_("Pairs need ranks or scores, and these edits have neither for all of a group.")]


def _about_sizes(wish: Wish, chosen: Chosen) -> list[str]:
    if wish.base.module != "drawn":
        return []
    hashes = {row["source"].split("/")[-1].split(".")[0] for row in chosen.cases}
    wrong = 0
    for start in range(0, len(hashes), CHUNK):
        rows = StoredImage.objects.filter(sha256__in=sorted(hashes)[start : start + CHUNK])
        wrong += rows.exclude(width=DRAWN_SIDE, height=DRAWN_SIDE).count()
    if not wrong:
        return []
    words = _("The CPU editor knows pictures of 64 × 64 pixels alone, and %(n)d of these have another size.")
    return [words % {"n": wrong}]


def _specs(wish: Wish, chosen: Chosen) -> tuple[Specs, Specs]:
    """The judges as the job is told of them. Raises ValidationError."""
    tasks = sorted({row["task"] for row in chosen.cases})
    dataset = Dataset.objects.get(uid=wish.data.dataset)
    rewards = [judges.spec(name, tasks, weight=weight, dataset=dataset) for name, weight in wish.rewards.items()]
    return tuple(rewards), tuple(judges.spec(name, tasks, dataset=dataset) for name in wish.held_out)


# Starting ------------------------------------------------------------------------------------------------------------


def start_run(
    *, wish: Wish, by: User | None, cloned_from: Job | None = None, choosing: Callable[[Wanted], Chosen] = choose
) -> Job:
    """A job that trains an editor. Raises ValidationError with everything that is known against it."""
    checked = check(wish, choosing)
    if checked.problems or checked.chosen is None:
        raise ValidationError(checked.problems)
    config = config_of(wish, checked)
    title = _("Train %(name)s from %(base)s") % {"name": wish.name, "base": wish.base.name}
    return jobs.start(kind=NAME, title=title, config=config, by=by, cloned_from=cloned_from)


def config_of(wish: Wish, checked: Checked) -> dict[str, Any]:
    chosen = checked.chosen
    assert chosen is not None
    dataset = Dataset.objects.get(uid=wish.data.dataset)
    labelled_set = LabelledSet.objects.filter(uid=wish.data.labelled_set).first() if wish.data.labelled_set else None
    names = {"dataset": dataset.name, "labelled_set": labelled_set.name if labelled_set else ""}
    weights = {one["name"]: one["weight"] for one in checked.rewards}
    return {
        "config": wish.config.to_json(),
        "editor": {"module": wish.base.module, "settings": wish.base.settings},
        "cases": CASES,
        "rewards": list(checked.rewards),
        "reward": {**wish.shape.to_json(), "weights": weights},
        "held_out": list(checked.held_out),
        "watch": wish.watch,
        "acknowledged": 0,
        "examples": EXAMPLES if chosen.examples else "",
        "data_hash": chosen.hash,
        # What the job itself does not read:
        "base": wish.base.slug,
        "name": wish.name.strip(),
        "note": wish.note.strip(),
        "data": wish.wanted.to_json(),
        "judges": {"rewards": dict(wish.rewards), "held_out": list(wish.held_out)},
        "names": names,
        "counts": {"train": chosen.count(TRAIN), "look": chosen.count(LOOK), "examples": len(chosen.examples)},
        "notice": _notice(wish, dataset, labelled_set),
    }


def _notice(wish: Wish, dataset: Dataset, labelled_set: LabelledSet | None) -> str:
    """What is to be said wherever the run or its editor is shown."""
    told = judges.notices(wish.rewards)
    told += judges.notices([one for one in wish.held_out if one != judges.TRUTH])  # its words are of a reward
    if judges.TRUTH in wish.held_out:
        told.append(_("Looked at with the true score of the drawn world."))
    told += [labelled_set.notice if labelled_set else "", dataset.notice]
    return " ".join(dict.fromkeys(words for words in told if words))


def wish_of(config: Mapping[str, Any]) -> Wish:
    """The wish that a job was started with. Raises ValidationError where its base was deleted."""
    base = Editor.objects.filter(slug=config["base"]).first()
    if base is None:
        raise ValidationError(_("The base editor “%(name)s” was deleted.") % {"name": config["base"]})
    return Wish(
        name=config["name"],
        base=base,
        config=Config.from_json(config["config"], base.module),
        data=Wanted.from_json(config["data"]),
        rewards=dict(config["judges"]["rewards"]),
        held_out=tuple(config["judges"]["held_out"]),
        shape=RewardSpec.from_json(config["reward"]),
        watch=config["watch"],
        note=config["note"],
    )


def clone(*, job: Job, by: User) -> Job:
    """The same run once more, by the same checks; its editor gets a name of its own. Raises ValidationError."""
    from training.runs.registry import free_name

    wish = wish_of(job.config)
    return start_run(wish=replace(wish, name=free_name(wish.name)), by=by, cloned_from=job)


# The watch's question ------------------------------------------------------------------------------------------------


@transaction.atomic
def go_on(*, job: Job, number: int) -> Job:
    """A person has seen what the watch found after round ``number``, and wants the run to go on. Raises
    ValidationError."""
    locked = Job.objects.select_for_update().get(pk=job.pk)
    if not locked.is_resumable:
        raise ValidationError(_("This run does not wait for an answer."))
    if number <= int(locked.config.get("acknowledged", 0)):
        raise ValidationError(_("This question was answered already."))
    locked.config = {**locked.config, "acknowledged": number}
    locked.save(update_fields=["config"])
    return jobs.resume(job=locked)


__all__ = ["NAME", "Checked", "Wish", "check", "clone", "config_of", "go_on", "start_run", "wish_of"]
