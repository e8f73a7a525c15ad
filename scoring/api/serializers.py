"""What the interface answers with. Field names are part of the contract: add, do not rename."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from annotation.models import Flag, Purpose, Split, StudyState
from scoring.tables import annotator_name
from webapp.jobs.models import State


def choice(values: list[str], **more: Any) -> serializers.ChoiceField:
    """A field of few values, for the schema; ``allow_blank`` where it can be empty."""
    return serializers.ChoiceField(values, **more)


class Output(serializers.Serializer):
    """Read only."""


class Error(Output):
    error = serializers.CharField(help_text="A sentence that says what is wrong and what to do.")
    fields = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), help_text="Sentences by the field they are about."
    )


class Dataset(Output):
    uid = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    notice = serializers.CharField(allow_blank=True, help_text="What must be said of it wherever it is shown.")
    created_at = serializers.DateTimeField()
    derived_from = serializers.UUIDField(allow_null=True, source="derived_from.uid", default=None)
    cases = serializers.IntegerField(source="size.cases")
    candidates = serializers.IntegerField(source="size.candidates")


class Case(Output):
    uid = serializers.UUIDField()
    key = serializers.CharField()
    task = serializers.CharField(source="task_id")
    split = choice(Split.values)
    instruction = serializers.CharField()
    source = serializers.UUIDField(source="source.uid", help_text="UID of the source image.")
    source_sha256 = serializers.CharField(source="source.sha256")
    width = serializers.IntegerField(source="source.width")
    height = serializers.IntegerField(source="source.height")
    attribution = serializers.CharField(allow_blank=True)
    licence = serializers.CharField(allow_blank=True)


class Candidate(Output):
    uid = serializers.UUIDField()
    case = serializers.UUIDField(source="case.uid")
    case_key = serializers.CharField(source="case.key")
    editor = serializers.CharField(source="editor.slug")
    editor_notice = serializers.CharField(source="editor.notice", allow_blank=True)
    seed = serializers.IntegerField()
    image = serializers.UUIDField(source="image.uid")
    image_sha256 = serializers.CharField(source="image.sha256")
    fault = serializers.CharField(allow_blank=True, help_text="What an output check found; empty if nothing.")
    fault_kept = serializers.BooleanField(allow_null=True)
    created_at = serializers.DateTimeField()


class Progress(Output):
    target = serializers.IntegerField(help_text="Judgements wanted in all.")
    done = serializers.IntegerField()
    in_work = serializers.IntegerField()
    extra = serializers.IntegerField()
    members = serializers.IntegerField()
    simulated = serializers.IntegerField()


class Study(Output):
    uid = serializers.UUIDField()
    name = serializers.CharField()
    dataset = serializers.UUIDField(source="dataset.uid")
    preset = serializers.CharField()
    state = choice(StudyState.values)
    notice = serializers.CharField(
        allow_blank=True,
        source="notice_words",
        help_text="“Simulation”, “Demo data”: say it wherever you show figures.",
    )
    is_simulated = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    progress = Progress()


class StudyWhole(Study):
    protocol = serializers.JSONField(source="protocol_json", help_text="As it was frozen when the study was made.")
    guidelines = serializers.CharField(allow_blank=True)


class Member(Output):
    uid = serializers.UUIDField()
    username = serializers.CharField(source="user.username")
    annotator = serializers.SerializerMethodField(help_text="The name in judgements, tables and exports.")
    is_simulated = serializers.BooleanField(source="user.is_simulated")
    done = serializers.IntegerField()
    joined_at = serializers.DateTimeField(source="created_at")
    qualified_at = serializers.DateTimeField(allow_null=True)
    paused_at = serializers.DateTimeField(allow_null=True)

    def get_annotator(self, row: Any) -> str:
        return annotator_name(row.user_id, row.user.is_simulated)


class Mark(Output):
    candidate = serializers.UUIDField(source="candidate.uid")
    editor = serializers.CharField(source="candidate.editor.slug")
    dimension = serializers.CharField()
    score = serializers.FloatField(allow_null=True)
    rank = serializers.FloatField(allow_null=True, help_text="1 is best; ties share their mean.")
    control = serializers.CharField(
        allow_blank=True, source="candidate.control", help_text="Not empty: no edit, but a check of attention."
    )


class Judgement(Output):
    uid = serializers.UUIDField()
    study = serializers.UUIDField(source="study.uid")
    item = serializers.UUIDField(source="unit.item.uid", help_text="The candidate, pair or group that was judged.")
    case_key = serializers.CharField(source="unit.item.case.key")
    dimension = serializers.CharField(source="unit.dimension", allow_blank=True, help_text="Empty: all at once.")
    round = serializers.IntegerField(source="unit.round")
    purpose = choice(Purpose.values, source="unit.purpose")
    annotator = serializers.SerializerMethodField(help_text="A stable number; simulated-… is a program.")
    flag = choice(Flag.values, allow_blank=True)
    remark = serializers.CharField(allow_blank=True)
    is_extra = serializers.BooleanField(help_text="Came after the item was full: kept, and not counted.")
    seconds = serializers.FloatField(allow_null=True)
    revisions = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    marks = Mark(many=True, source="marks.all")

    def get_annotator(self, row: Any) -> str:
        return annotator_name(row.annotator_id, row.annotator.is_simulated)


class EditorFigures(Output):
    editor = serializers.CharField()
    name = serializers.CharField()
    candidates = serializers.IntegerField()
    values = serializers.DictField(child=serializers.FloatField(allow_null=True), help_text="By dimension.")
    overall = serializers.FloatField(allow_null=True)


class Results(Output):
    """Figures of the judgements that count now."""

    study = serializers.UUIDField()
    notice = serializers.CharField(allow_blank=True)
    kind = serializers.CharField()
    dimensions = serializers.ListField(child=serializers.CharField())
    progress = Progress()
    editors = EditorFigures(many=True)
    agreement = serializers.DictField(child=serializers.JSONField(), help_text="Of ratings, by dimension.")
    concordance = serializers.ListField(child=serializers.DictField(), help_text="Of rankings, by dimension.")
    annotators = serializers.ListField(child=serializers.DictField(), help_text="Ratings, outliers and bias of each.")
    warnings = serializers.ListField(child=serializers.CharField())


class Job(Output):
    uid = serializers.UUIDField()
    kind = serializers.CharField()
    title = serializers.CharField()
    state = choice(State.values)
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    message = serializers.CharField(allow_blank=True)
    summary = serializers.JSONField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class Export(Job):
    study = serializers.UUIDField(source="config.study", allow_null=True, default=None)
    table = serializers.CharField(source="config.table", default="")
    format = serializers.CharField(source="config.format", default="")
    notice = serializers.CharField(allow_blank=True, source="notice_words")
    file = serializers.SerializerMethodField(help_text="Address of the file once it is there; null before.")

    def get_file(self, row: Any) -> str | None:
        from django.urls import reverse

        if not row.summary.get("file"):
            return None
        return str(self.context["request"].build_absolute_uri(reverse("api_export_file", args=[row.uid])))
