"""The form of the hard cases: who scores each task, and from which score on a case is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from scoring.filtering.queries import Scorer, TaskScorers
from scoring.filtering.rules import By, Rule, TaskRule

MOST = 100
SCORER, THRESHOLD = "scorer_", "threshold_"


class ByTask(forms.Form):
    """Who scores each task that has scores, and a threshold for each."""

    threshold_label: ClassVar = _("%(task)s: drop from")
    no_threshold: ClassVar = _("Empty: nothing goes.")
    below_top: ClassVar = 0  # of the scale, where a threshold is at first

    def __init__(self, data: Any = None, *, tasks: Sequence[TaskScorers]) -> None:
        super().__init__(data)
        self.tasks = [row for row in tasks if row.scorers]
        for row in self.tasks:
            usual = row.scorers[0]
            self.fields[SCORER + row.task.pk] = forms.ChoiceField(
                label=_t("%(task)s: scorer") % {"task": row.task.name},
                choices=[(one.key, _label(one)) for one in row.scorers],
                initial=usual.key,
            )
            self.fields[THRESHOLD + row.task.pk] = forms.FloatField(
                label=self.threshold_label % {"task": row.task.name},
                initial=usual.version.prompt.high - self.below_top,
                required=False,
                help_text=f"{_scale(usual)} {self.no_threshold}",
                widget=forms.NumberInput(attrs={"step": "any"}),
            )
        if data is None and self.tasks:
            self.is_bound, self.data = True, self.usual()  # the page opens with what the usual rule does

    @staticmethod
    def ends(scorer: Scorer) -> tuple[int, int]:
        """With a level map the threshold is on the scale of people, which may be another."""
        prompt = scorer.version.prompt
        return (0, MOST) if scorer.knots else (prompt.low, prompt.high)

    def scorer(self, row: TaskScorers) -> Scorer:
        key = self.cleaned_data[SCORER + row.task.pk]
        return next(one for one in row.scorers if one.key == key)

    def scorers(self) -> dict[str, Scorer]:
        return {row.task.pk: self.scorer(row) for row in self.tasks}

    def task_rules(self) -> dict[str, TaskRule]:
        return {
            task: TaskRule(str(one.version.uid), one.judge.slug, self.cleaned_data[THRESHOLD + task], one.knots)
            for task, one in self.scorers().items()
        }

    def task_fields(self) -> list[forms.BoundField]:
        return [self[prefix + row.task.pk] for row in self.tasks for prefix in (SCORER, THRESHOLD)]

    def usual(self) -> dict[str, Any]:
        """The values that the form opens with."""
        return {name: field.initial for name, field in self.fields.items()}


class FilterForm(ByTask):
    """Which cases go: a threshold for each task that has scores."""

    by = forms.ChoiceField(
        label=_("A case's score is"),
        choices=[(By.BEST.value, _("that of its best candidate")), (By.MEAN.value, _("the mean of its candidates"))],
        initial=By.BEST.value,
        help_text=_(
            "The best: a case goes as soon as one candidate is perfect. Candidates without a score do not count."
        ),
    )
    unscored = forms.ChoiceField(
        label=_("Cases without a score"),
        choices=[("keep", _("stay")), ("drop", _("go"))],
        initial="keep",
    )

    name = forms.CharField(
        label=_("Name of the filtered set"),
        max_length=120,
        required=False,
        help_text=_("Candidates and scores stay with this data set."),
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        for row in self.tasks:
            threshold = data.get(THRESHOLD + row.task.pk)
            if threshold is None or SCORER + row.task.pk not in data:
                continue
            low, high = self.ends(self.scorer(row))
            if not low < threshold <= high:
                message = _("Above %(low)s and up to %(high)s. Leave it empty to drop nothing of this task.")
                self.add_error(THRESHOLD + row.task.pk, message % {"low": low, "high": high})
        return data

    def rule(self) -> Rule:
        data = self.cleaned_data
        return Rule(By(data["by"]), data["unscored"] == "keep", self.task_rules())

    def general(self) -> list[forms.BoundField]:
        return [self["by"], self["unscored"]]


def _label(scorer: Scorer) -> str:
    words = _t("%(scorer)s (%(n)d scores)") % {"scorer": scorer, "n": scorer.scored}
    return words + " · " + _t("active") if scorer.is_active else words


def _scale(scorer: Scorer) -> str:
    if scorer.knots:
        return _t("At people's level, by the level map of the active scorer.")
    return _t("Scores are %(low)d to %(high)d.") % {
        "low": scorer.version.prompt.low,
        "high": scorer.version.prompt.high,
    }
