"""The form of a recipe: one page with everything that is asked for, from the tasks to the thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from annotation.curation.queries import cells_of
from annotation.instructions.propose import MOST_EACH
from annotation.models import Dataset, Editor, Split, Task
from scoring.asking.forms import CostLimit
from scoring.asking.queries import OVERALL, Choice, choices_of, usual_judge
from scoring.filtering.rules import By, Rule, TaskRule
from scoring.models import Judge, PromptVersion
from training.categorising import ClipForm
from training.recipes.plan import EVEN, EVERYTHING, OWN, REALPREF, Settings
from webapp.endpoints.http import CHAT
from webapp.endpoints.models import Endpoint

TASK, TARGET, THRESHOLD = "task_", "target_", "threshold_"
PRESETS = [
    (REALPREF, _("RealPref-50K: the proportions of HP-Edit's Table S6")),
    (EVEN, _("The same for every task")),
    (OWN, _("Own numbers")),
    (EVERYTHING, _("All cases")),
]
PARTS = {Split.TRAIN: 80, Split.DEV: 10, Split.TEST: 10, Split.BENCH: 0}
MOST = 10_000_000


@dataclass(frozen=True)
class Row:
    """The fields of one task, and the version that scores it."""

    choice: Choice
    version: PromptVersion | None
    there: int
    chosen: forms.BoundField
    target: forms.BoundField
    threshold: forms.BoundField

    @property
    def errors(self) -> list[str]:
        return [*self.chosen.errors, *self.target.errors, *self.threshold.errors]


def scorer_of(choice: Choice) -> PromptVersion | None:
    """The active scorer's version, or else the newest of an overall score: of the task's own prompts before those for
    every task. A score of one dimension alone does not say that an edit is perfect."""
    if choice.active:
        return choice.active.version
    overall = [row for row in choice.versions if row.prompt.dimension == OVERALL]
    return min(overall, key=lambda row: (row.prompt.task_id is None, -row.pk), default=None)


class RecipeForm(CostLimit):
    name = forms.CharField(
        label=_("Name"),
        max_length=60,
        help_text=_("Of the filtered set. The draw with its candidates is named after it."),
    )
    preset = forms.ChoiceField(label=_("Targets"), choices=PRESETS, initial=REALPREF)
    total = forms.IntegerField(
        label=_("Cases in all"),
        min_value=1,
        max_value=MOST,
        required=False,
        help_text=_("Scales the targets to this sum. Empty: as they are."),
    )
    share = forms.IntegerField(
        label=_("Uncategorised, at most (%)"),
        min_value=0,
        max_value=100,
        help_text=_("Of each task's target. They fill only what the categories cannot."),
    )
    endpoint = forms.ModelChoiceField(
        label=_("Endpoint that writes instructions"),
        queryset=Endpoint.objects.filter(kind=CHAT).order_by("name"),
        to_field_name="slug",
        required=False,
        empty_label=_("none: the cases that are there"),
        help_text=_("People accept what it proposes before the recipe goes on."),
    )
    each = forms.IntegerField(
        label=_("Instructions for each picture and task"), min_value=1, max_value=MOST_EACH, initial=1
    )
    clip_model = forms.CharField(
        label=_("CLIP model that says what pictures show"),
        max_length=300,
        required=False,
        help_text=_("A name in the GPU machine's cache, or a folder there. Empty: the categories that are there."),
    )
    clip_threshold = forms.FloatField(label=_("At least so sure"), min_value=0, max_value=1, initial=0.3)
    near = forms.BooleanField(label=_("Pictures that look alike stay in one split"), required=False, initial=True)
    seed = forms.IntegerField(label=_("Seed of the draw and the splits"), min_value=0, max_value=2**31 - 1, initial=1)
    editors = forms.ModelMultipleChoiceField(
        label=_("Editors"),
        queryset=Editor.objects.exclude(module=""),
        to_field_name="slug",
        widget=forms.CheckboxSelectMultiple,
    )
    seeds = forms.IntegerField(label=_("Candidates of each case and editor"), min_value=1, max_value=100, initial=1)
    judge = forms.ModelChoiceField(label=_("Judge"), queryset=Judge.objects.all(), to_field_name="slug")
    by = forms.ChoiceField(
        label=_("A case's score is"),
        choices=[(By.BEST.value, _("that of its best candidate")), (By.MEAN.value, _("the mean of its candidates"))],
        initial=By.BEST.value,
    )
    unscored = forms.ChoiceField(
        label=_("Cases without a score"), choices=[("keep", _("stay")), ("drop", _("go"))], initial="keep"
    )
    most_cost = forms.FloatField(
        label=_("Spend at most"),
        required=False,
        help_text=_("On instructions and scores, in the currency of the endpoints' prices. Empty: no limit."),
        widget=forms.NumberInput(attrs={"step": "any", "min": 0}),
    )

    def __init__(self, data: Any = None, *, dataset: Dataset) -> None:
        self.supply = cells_of(dataset)
        known = list(Task.objects.all())
        tasks = [task for task in known if task.is_hp_edit or task.pk in self.supply]
        self.choices = choices_of(tasks)
        super().__init__(data, initial={"judge": usual_judge(self.choices), "share": self._usual_share()})
        for split, part in PARTS.items():
            self.fields[split.value] = forms.FloatField(
                label=f"{split.label} (%)", min_value=0, max_value=100, initial=part
            )
        for choice in self.choices:
            self._add_task(choice)

    def _usual_share(self) -> int:
        """A limit makes no sense where nothing has a category yet."""
        named = any(category for cells in self.supply.values() for category in cells)
        return 20 if named else 100

    def _add_task(self, choice: Choice) -> None:
        task, version = choice.task, scorer_of(choice)
        said = {"task": task.name}
        self.fields[TASK + task.pk] = forms.BooleanField(
            label=task.name, required=False, initial=bool(self.supply.get(task.pk) and version)
        )
        self.fields[TARGET + task.pk] = forms.IntegerField(
            label=_t("%(task)s: own number of cases") % said, min_value=0, max_value=MOST, required=False
        )
        self.fields[THRESHOLD + task.pk] = forms.FloatField(
            label=_t("%(task)s: drop from this score on") % said,
            initial=version.prompt.high if version else None,
            required=False,
            widget=forms.NumberInput(attrs={"step": "any"}),
        )

    def clean_clip_model(self) -> str:
        name: str = self.cleaned_data["clip_model"]
        form = ClipForm({"model": name, "threshold": 0})
        if name and not form.is_valid():
            raise ValidationError(list(form.errors["model"]))
        return name

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors and abs(sum(data[split] for split in PARTS) - 100) > 0.01:
            raise ValidationError(_("The splits must sum to 100 %."))
        return data

    def wish(self) -> Settings:
        """What was asked for. Only for a form that is valid."""
        data = self.cleaned_data
        tasks = [choice.task.pk for choice in self.choices if data[TASK + choice.task.pk]]
        return Settings(
            tasks=tuple(tasks),
            preset=data["preset"],
            total=data["total"],
            own={task: data[TARGET + task] or 0 for task in tasks} if data["preset"] == OWN else {},
            share=data["share"] / 100,
            seed=data["seed"],
            endpoint=data["endpoint"].slug if data["endpoint"] else "",
            each=data["each"],
            clip_model=data["clip_model"],
            clip_threshold=data["clip_threshold"],
            fractions={split.value: data[split] / sum(data[name] for name in PARTS) for split in PARTS},
            near=data["near"],
            editors=tuple(sorted(editor.slug for editor in data["editors"])),
            seeds=data["seeds"],
            judge=data["judge"].slug,
            rule=self._rule(tasks),
            most_cost=data["most_cost"],
        )

    def _rule(self, tasks: list[str]) -> Rule:
        """Each task's active scorer's version, or else the newest. Its level map counts where the judge is its own."""
        data, found = self.cleaned_data, {}
        for choice in self.choices:
            task, version = choice.task.pk, scorer_of(choice)
            if task not in tasks or version is None:
                continue
            own = choice.active is not None and choice.active.judge_id == data["judge"].pk
            knots = choice.active.knots or None if choice.active and own else None
            found[task] = TaskRule(str(version.uid), data["judge"].slug, data[THRESHOLD + task], knots)
        return Rule(By(data["by"]), data["unscored"] == "keep", found)

    # As it is shown --------------------------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        return [
            Row(
                choice,
                scorer_of(choice),
                sum(self.supply.get(choice.task.pk, {}).values()),
                self[TASK + choice.task.pk],
                self[TARGET + choice.task.pk],
                self[THRESHOLD + choice.task.pk],
            )
            for choice in self.choices
        ]

    def first(self) -> list[forms.BoundField]:
        return [self[name] for name in ("name", "preset", "total")]

    def making(self) -> list[forms.BoundField]:
        return [self[name] for name in ("editors", "seeds", "judge", "by", "unscored", "most_cost")]

    def preparing(self) -> list[forms.BoundField]:
        return [self[name] for name in ("endpoint", "each", "clip_model", "clip_threshold", "share")]

    def parts(self) -> list[forms.BoundField]:
        return [self[split.value] for split in PARTS]

    def dividing(self) -> list[forms.BoundField]:
        return [self["near"], self["seed"]]
