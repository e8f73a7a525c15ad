"""The forms of versions and prompts. ``VersionForm`` is the editor that other pages embed.

To embed it: ``form = VersionForm(request.POST or None, start=draft_of(parent))``, include "prompts/fields.html" with
``form`` inside a <form>, and load js/prompts.js as a module and css/prompts.css. A valid form's ``content()`` are the
arguments of ``services.create_version``; what that refuses goes back by ``form.add_error(None, error)``.

Names in the POST (behind the form's prefix, where it has one):

    preamble, rubric, note
    question            once for each question, in their order: the number of its row, any digits
    question-key-ROW    the question's key in the parent; empty or missing for a new one
    question-text-ROW
    question-on-ROW     "on" where it is switched on, missing where it is off
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.models import Task
from annotation.models.library import SLUG
from scoring.models.asking import HIGHEST
from scoring.prompts.checks import problems
from scoring.prompts.drafts import Draft, Line, tidy

ROW = re.compile(r"[0-9]{1,6}")


@dataclass
class QuestionRow:
    """A question as the form shows it. ``number``: under which it is asked; None where it is switched off."""

    row: str
    key: str
    text: str
    is_on: bool = True
    number: int | None = None
    errors: list[str] = field(default_factory=list)


class VersionForm(forms.Form):
    """The content of a version: preamble, questions as rows, rubric, and a note on what changed."""

    preamble = forms.CharField(
        label=_("Preamble"),
        widget=forms.Textarea(attrs={"rows": 7}),
        help_text=_("What comes before the case. {task}, {instruction} and {requirement} are filled in."),
    )
    rubric = forms.CharField(
        label=_("Rubric"),
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text=_("What each score means. The form of the answer is added by itself."),
    )
    note = forms.CharField(
        label=_("Note"), max_length=500, required=False, help_text=_("What you changed, and why. For the history.")
    )

    def __init__(self, data: Any = None, *args: Any, start: Draft | None = None, **kwargs: Any) -> None:
        if start:
            kwargs["initial"] = {"preamble": start.preamble, "rubric": start.rubric, **(kwargs.get("initial") or {})}
        super().__init__(data, *args, **kwargs)
        self.rows = self._posted(data) if self.is_bound else _rows(start.questions if start else ())
        self.blank = QuestionRow("ROW", "", "")  # what js/prompts.js copies for a new question
        _number(self.rows)

    def _posted(self, data: Any) -> list[QuestionRow]:
        """The rows that were sent, in order. What is no row of ours is passed over."""
        name = self.add_prefix("question")
        sent = data.getlist(name) if hasattr(data, "getlist") else data.get(name, [])
        rows = dict.fromkeys(row for row in sent if ROW.fullmatch(row))
        return [
            QuestionRow(
                row,
                key=data.get(f"{name}-key-{row}", ""),
                text=data.get(f"{name}-text-{row}", ""),
                is_on=data.get(f"{name}-on-{row}") == "on",
            )
            for row in rows
        ]

    def clean(self) -> dict[str, Any]:
        for problem in problems(self.draft(), self.cleaned_data.get("note", "")):
            if problem.row is not None:
                self.rows[problem.row].errors.append(problem.message)
            elif problem.field in self.fields and not self.has_error(problem.field):
                self.add_error(problem.field, problem.message)
            elif problem.field not in self.fields:
                self.add_error(None, problem.message)
        if any(row.errors for row in self.rows):
            self.add_error(None, _("Look at the questions that are marked below."))
        return self.cleaned_data

    def draft(self) -> Draft:
        """What was filled in, whether it is sound or not."""
        data: Mapping[str, Any] = self.cleaned_data
        return tidy(data.get("preamble", ""), data.get("rubric", ""), [_line(row) for row in self.rows])

    def content(self) -> dict[str, Any]:
        """Of a valid form: preamble, rubric, questions and note, as the services take them."""
        draft = self.draft()
        return {
            "preamble": draft.preamble,
            "rubric": draft.rubric,
            "questions": list(draft.questions),
            "note": self.cleaned_data["note"],
        }

    @property
    def question_name(self) -> str:
        return self.add_prefix("question")


class PromptForm(VersionForm):
    """A new prompt with its first version."""

    name = forms.CharField(label=_("Name"), max_length=120)
    task = forms.ModelChoiceField(
        label=_("Task"),
        queryset=Task.objects.all(),
        required=False,
        empty_label=_("Every task"),
    )
    dimension = forms.CharField(
        label=_("Dimension"),
        max_length=40,
        initial="overall",
        validators=[SLUG],
        help_text=_("As the studies call it whose scores it is compared with: overall, quality, alignment …"),
    )
    low = forms.IntegerField(label=_("Lowest score"), min_value=0, max_value=HIGHEST - 1, initial=0)
    high = forms.IntegerField(label=_("Highest score"), min_value=1, max_value=HIGHEST, initial=5)
    description = forms.CharField(label=_("Description"), required=False, widget=forms.Textarea(attrs={"rows": 2}))

    def about(self) -> list[forms.BoundField]:
        """The fields of the prompt; the others are those of its version."""
        return [self[name] for name in ("name", "task", "dimension", "low", "high", "description")]

    def content(self) -> dict[str, Any]:
        names = [bound.name for bound in self.about()]
        return {**super().content(), **{name: self.cleaned_data[name] for name in names}}


def _rows(lines: tuple[Line, ...]) -> list[QuestionRow]:
    return [QuestionRow(str(row), line.key, line.text, line.is_on) for row, line in enumerate(lines)]


def _line(row: QuestionRow) -> Line:
    return Line(row.key, row.text, row.is_on)


def _number(rows: list[QuestionRow]) -> None:
    number = 0
    for row in rows:
        number += row.is_on
        row.number = number if row.is_on else None
