"""The categoriser "clip": a job on the GPU queue that says what source images show, as far as it is sure."""

from __future__ import annotations

import json
import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.curation import services
from annotation.curation.categorisers import PERSON, Categoriser, Verdict
from annotation.curation.queries import sources_of
from annotation.inputs import local_path
from annotation.models import Category, Dataset
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError, write_json
from webapp.jobs.kinds import GPU, JobKind, run_model
from webapp.jobs.models import Job

NAME = re.compile(r"[\w.-]+/[\w.-]+|/[\w./ -]+")  # a name of the hub, or an absolute folder
PROMPT = "a photo of {article} {name}"
PLURAL = ("skis", "scissors")


class ClipForm(forms.Form):
    model = forms.CharField(
        label=gettext_lazy("Model"),
        initial="openai/clip-vit-large-patch14",
        max_length=300,
        help_text=gettext_lazy(
            "A folder on the GPU machine, or a name in its Hugging Face cache. Nothing is downloaded."
        ),
    )
    threshold = forms.FloatField(
        label=gettext_lazy("At least so sure"),
        min_value=0,
        max_value=1,
        initial=0.3,
        help_text=gettext_lazy("0 to 1. A picture with a lower score stays uncategorised."),
    )

    def clean_model(self) -> str:
        name: str = self.cleaned_data["model"]
        if not NAME.fullmatch(name) or ".." in name:
            raise ValidationError(_("Give the name of a model, such as openai/clip-vit-large-patch14, or a folder."))
        return name


def start_categorising(*, dataset: Dataset, by: User | None, model: str, threshold: float) -> Job:
    """A job that looks at every source image that no person has categorised. Raises ValidationError."""
    if not _todo(dataset).exists():
        raise ValidationError(_("A person has looked at every source image. There is nothing to categorise."))
    config = {"dataset": str(dataset.uid), "model": model, "threshold": threshold}
    title = _("Categorise %(name)s by CLIP") % {"name": dataset.name}
    return jobs.start(kind="categorise", title=title, config=config, by=by)


def _todo(dataset: Dataset) -> Any:
    return sources_of(dataset).exclude(source_facts__method=PERSON).order_by("pk")


def _prepare(job: Job) -> None:
    """Write the pictures and the prompts, once: an attempt that goes on needs the list that it began with."""
    path = job.folder / "inputs" / "images.jsonl"
    if path.exists():
        return
    dataset = Dataset.objects.filter(uid=job.config["dataset"]).first()
    if dataset is None:
        raise JobError(_("The data set was deleted."))
    categories = [{"slug": one.pk, "prompt": prompt(one.name)} for one in Category.objects.all()]
    write_json(job.folder / "inputs" / "categories.json", categories)
    part = path.with_suffix(".part")
    with part.open("w") as file:
        for image in _todo(dataset).iterator(chunk_size=2000):
            file.write(json.dumps({"key": str(image.pk), "file": local_path(image.view, job.folder)}) + "\n")
    part.rename(path)


def prompt(name: str) -> str:
    """The sentence that a picture is compared with."""
    if name in PLURAL:
        return PROMPT.format(article="", name=name).replace("  ", " ")
    return PROMPT.format(article="an" if name[0] in "aeiou" else "a", name=name)


def _on_events(job: Job, events: list[dict[str, Any]]) -> None:
    """Keep the verdicts. The same event again changes nothing; what a person has said meanwhile stands."""
    method = f"clip {job.config['model']}"[:200]
    found = [event for event in events if event["event"] == "category"]
    verdicts = [Verdict(int(event["key"]), event["category"], method, event["score"]) for event in found]
    services.record(verdicts=verdicts)


def _links(job: Job) -> list[tuple[str, str]]:
    dataset = Dataset.objects.filter(uid=job.config["dataset"]).first()
    return [(dataset.name, dataset.get_absolute_url())] if dataset else []


def _begin(*, dataset: Dataset, by: User, model: str, threshold: float) -> str:
    return start_categorising(dataset=dataset, by=by, model=model, threshold=threshold).get_absolute_url()


KIND = JobKind(
    name="categorise",
    label=gettext_lazy("Categories by CLIP"),
    queue=GPU,
    command=run_model,
    prepare=_prepare,
    on_events=_on_events,
    links=_links,
)
CLIP = Categoriser(
    name="clip",
    label=gettext_lazy("By a CLIP model"),
    explanation=gettext_lazy("A job compares every picture with the names. It leaves alone what a person has said."),
    begin=_begin,
    form=ClipForm,
)
