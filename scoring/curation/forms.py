"""The form of the curation: who scores each task, which candidates are kept, and how many of a case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from scoring.curation.rules import BY_TASK, COUNTS, SHARES, How, Rule
from scoring.filtering.forms import SCORER, THRESHOLD, ByTask
from scoring.filtering.queries import Scorer

HOW = [
    (
        _("As in a paper"),
        [
            (How.EDITREWARD.value, _("EditReward: 46,000 to 20,000")),
            (How.EDITHF.value, _("EditHF: the better half of each task")),
        ],
    ),
    (
        _("All tasks compete"),
        [(How.COUNT.value, _("the best k of all")), (How.SHARE.value, _("the best percent of all"))],
    ),
    (
        _("Each task on its own"),
        [
            (How.COUNT_TASK.value, _("the best k of each task")),
            (How.SHARE_TASK.value, _("the best percent of each task")),
            (How.THRESHOLD.value, _("from a score on")),
        ],
    ),
]


class CurationForm(ByTask):
    """Which candidates are kept. Fields that the chosen way does not use are not looked at."""

    threshold_label = _("%(task)s: keep from")
    no_threshold = _("Empty: all of the task are kept.")
    below_top = 1

    how = forms.ChoiceField(
        label=_("Keep"),
        choices=HOW,
        help_text=_(
            "EditReward: the best 20,000 of all; of fewer than 46,000 the same share. "
            "Where all tasks compete, a task with low scores can lose more than its share."
        ),
    )
    count = forms.IntegerField(label=_("k: candidates"), min_value=1, max_value=10**9, required=False, initial=1000)
    percent = forms.FloatField(
        label=_("Percent"),
        min_value=0.001,
        max_value=100,
        required=False,
        initial=50,
        help_text=_("Of the candidates that compete, rounded down."),
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    per_case = forms.IntegerField(
        label=_("Of one case, at most"),
        min_value=1,
        max_value=1000,
        initial=1,
        help_text=_("Its best candidates. Only they compete with those of other cases."),
    )
    name = forms.CharField(
        label=_("Name of the curated set"),
        max_length=120,
        required=False,
        help_text=_("Its candidates are copied; their scores stay with this data set."),
    )

    def usual(self) -> dict[str, Any]:
        scored = [row.scorers[0] for row in self.tasks]
        how = How.EDITREWARD if len(scales(scored)) < 2 else How.EDITHF
        return {**super().usual(), "how": how.value}

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        how = data.get("how", "")
        used = {"count": how in COUNTS, "percent": how in SHARES}
        used |= {THRESHOLD + row.task.pk: how == How.THRESHOLD for row in self.tasks}
        for name in [name for name, is_used in used.items() if not is_used]:
            self.errors.pop(name, None)
            data[name] = None
        for name in ("count", "percent"):
            if used[name] and data.get(name) is None and name not in self.errors:
                self.add_error(name, _("Say how many."))
        self._look_at_thresholds(data)
        if how and how not in BY_TASK and not self.errors and len(found := scales(self.scorers().values())) > 1:
            message = _(
                "The tasks are scored on different scales (%(scales)s), so they cannot compete. Let each be on its own."
            )
            self.add_error("how", message % {"scales": ", ".join(found)})
        return data

    def _look_at_thresholds(self, data: dict[str, Any]) -> None:
        for row in self.tasks:
            threshold = data.get(THRESHOLD + row.task.pk)
            if threshold is None or SCORER + row.task.pk not in data:
                continue
            low, high = self.ends(self.scorer(row))
            if not low <= threshold <= high:
                message = _("From %(low)s to %(high)s. Leave it empty to keep all of this task.")
                self.add_error(THRESHOLD + row.task.pk, message % {"low": low, "high": high})

    def rule(self) -> Rule:
        data = self.cleaned_data
        amount = data["count"] if data["count"] is not None else data["percent"]
        return Rule(How(data["how"]), self.task_rules(), data["per_case"], amount)

    def scorer_fields(self) -> list[forms.BoundField]:
        return [self[SCORER + row.task.pk] for row in self.tasks]

    def threshold_fields(self) -> list[forms.BoundField]:
        return [self[THRESHOLD + row.task.pk] for row in self.tasks]


def scales(scorers: Iterable[Scorer]) -> list[str]:
    """The different scales of these scorers, in words."""
    return sorted({f"{one.version.prompt.low}–{one.version.prompt.high}" for one in scorers})
