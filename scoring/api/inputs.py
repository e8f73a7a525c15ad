"""What the interface takes: the bodies and the queries, checked before anything is asked or done."""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ValidationError as Refusal
from django.utils.translation import gettext as _
from rest_framework import serializers

from annotation.forms import StudyForm
from annotation.models import Candidate, Flag, Purpose, Split, Study, StudyState
from annotation.models.library import CandidateQuerySet
from annotation.protocols import Protocol, ProtocolError
from annotation.studies import create_study
from scoring.api.fromforms import filled, serializer_of
from scoring.api.wire import Input, PageQuery
from scoring.export_tables import Options
from scoring.forms import ExportForm
from webapp.accounts.models import SIMULATED, User
from webapp.jobs.models import State

ANNOTATOR = re.compile(rf"(?:a|{SIMULATED})([0-9]{{1,18}})")


class CasesQuery(PageQuery):
    task = serializers.CharField(required=False, max_length=40, help_text="Short name of a task.")
    split = serializers.ChoiceField(Split.values, required=False)


class CandidatesQuery(PageQuery):
    case = serializers.CharField(required=False, max_length=200, help_text="Key of a case.")
    editor = serializers.CharField(required=False, max_length=80, help_text="Short name of an editor.")
    usable = serializers.BooleanField(default=False, help_text="Without what output checks set aside.")


class StudiesQuery(PageQuery):
    dataset = serializers.UUIDField(required=False)
    state = serializers.ChoiceField(StudyState.values, required=False)


class JudgementsQuery(PageQuery):
    purpose = serializers.ChoiceField(
        [*Purpose.values, "any"], default=Purpose.LIVE.value, help_text="Results come from live work alone."
    )
    counted = serializers.BooleanField(
        default=False, help_text="Those alone that results are made from: none extra, excused or of who was excluded."
    )
    annotator = serializers.CharField(required=False, max_length=40, help_text="Such as a12.")
    dimension = serializers.CharField(required=False, max_length=40, source="unit__dimension")
    item = serializers.UUIDField(required=False, source="unit__item__uid")
    flag = serializers.ChoiceField(Flag.values, required=False)
    updated_since = serializers.DateTimeField(
        required=False, source="updated_at__gte", help_text="Given or revised since then."
    )

    def validate_annotator(self, text: str) -> int:
        found = ANNOTATOR.fullmatch(text)
        if found is None:
            raise serializers.ValidationError(_("An annotator is a number such as a12."))
        return int(found[1])


class JobsQuery(PageQuery):
    kind = serializers.CharField(required=False, max_length=40)
    state = serializers.ChoiceField(State.values, required=False)


class ExportsQuery(PageQuery):
    state = serializers.ChoiceField(State.values, required=False)


StudyInput = serializer_of(
    StudyForm,
    "StudyInput",
    dataset=serializers.UUIDField(help_text="UID of the data set."),
    editors=serializers.ListField(
        child=serializers.CharField(max_length=80),
        required=False,
        max_length=500,
        help_text="Short names; none: all editors.",
    ),
)
ExportInput = serializer_of(ExportForm, "ExportInput")


class StateInput(Input):
    state = serializers.ChoiceField(StudyState.values)


class MemberInput(Input):
    username = serializers.CharField(max_length=150, help_text="Somebody with an account.")

    def validate_username(self, name: str) -> User:
        user = User.objects.filter(username=name, is_active=True).first()
        if user is None:
            raise serializers.ValidationError(_("Nobody of this name can sign in. Invite them on the study's page."))
        return user


def make_study(values: dict[str, Any], by: User) -> Study:
    """A study as the page makes it. Raises ValidationError with the field."""
    form = filled(StudyForm, values, {"dataset": "uid", "editors": "slug"})
    assert isinstance(form, StudyForm)
    data, protocol = form.cleaned_data, _protocol(form)
    return create_study(
        name=data["name"],
        dataset=data["dataset"],
        preset=data["preset"],
        protocol=protocol,
        guidelines=data["guidelines"],
        by=by,
        candidates=_candidates(data),
        sample=data["sample"] or 0,
    )


def _candidates(data: dict[str, Any]) -> CandidateQuerySet:
    rows = Candidate.objects.filter(case__dataset=data["dataset"])
    return rows.filter(editor__in=data["editors"]) if data["editors"] else rows


def _protocol(form: StudyForm) -> Protocol:
    try:
        return form.protocol()
    except ProtocolError as error:
        raise Refusal(str(error)) from None


def export_options(values: dict[str, Any]) -> tuple[str, str, Options]:
    """(table, format, options) of an export, by the rules of the page's form."""
    form = filled(ExportForm, values, {})
    assert isinstance(form, ExportForm)
    return form.cleaned_data["table"], form.cleaned_data["format"], form.options()
