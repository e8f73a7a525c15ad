"""Versions of a data set and their exports, for engineers and admins."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from annotation import lineage, markdown
from annotation.access import dataset_of
from annotation.models import DatasetVersion
from annotation.versions.card import card
from annotation.versions.export import file_of, start_export
from annotation.versions.freeze import start_freeze
from annotation.versions.rows import Options
from webapp.accounts.access import engineers, user_of
from webapp.core.paging import page_of
from webapp.jobs.models import ACTIVE, Job

EXPORTS = 20  # newest, on a version's page


class FreezeForm(forms.Form):
    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=500,
        required=False,
        help_text=gettext_lazy("What this version is for, or what changed."),
    )


class ExportForm(forms.Form):
    layout = forms.ChoiceField(
        label=gettext_lazy("Layout"),
        choices=[
            ("huggingface", gettext_lazy("Hugging Face data set (load_dataset)")),
            ("folder", gettext_lazy("Folder of images with metadata.jsonl")),
            ("parquet", gettext_lazy("Parquet tables with the images inside")),
        ],
    )
    which = forms.ChoiceField(
        label=gettext_lazy("Candidates"),
        choices=[
            ("usable", gettext_lazy("Without those set aside")),
            ("all", gettext_lazy("All, with marks")),
        ],
    )
    images = forms.ChoiceField(
        label=gettext_lazy("Images"),
        choices=[
            ("original", gettext_lazy("Originals")),
            ("view", gettext_lazy("Copies for viewing (WebP, at most 1024 pixels)")),
        ],
    )

    def options(self) -> Options:
        return Options(self.cleaned_data["which"] == "usable", self.cleaned_data["images"] == "view")


@engineers
def versions(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = dataset_of(request, uid)
    context = {
        "dataset": found,
        "page": page_of(request, found.versions.select_related("created_by")),
        "form": FreezeForm(),
        "running": Job.objects.filter(kind="freeze", state__in=ACTIVE, config__dataset=str(found.uid)),
    }
    return render(request, "library/versions.html", context)


@engineers
@require_POST
def freeze(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Everybody who may see a data set may freeze it: that changes nothing in it."""
    found, form = dataset_of(request, uid), FreezeForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("The note is longer than 500 characters. Shorten it."))
        return redirect("versions", found.uid)
    return redirect(start_freeze(dataset=found, by=user_of(request), note=form.cleaned_data["note"]))


def _version(uid: UUID) -> DatasetVersion:
    return get_object_or_404(DatasetVersion.objects.select_related("dataset", "created_by"), uid=uid)


@engineers
def version(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = _version(uid)
    exports = Job.objects.filter(kind="version_export", config__version=str(found.uid)).select_related("created_by")
    context = {
        "version": found,
        "dataset": found.dataset,
        "card": markdown.render(card(found)).replace("<table>", '<table class="table tight">'),
        "changes": found.facts["changes"],
        "job": lineage.freeze_of(found),
        "form": ExportForm(),
        "exports": exports.order_by("-pk")[:EXPORTS],
    }
    return render(request, "library/version.html", context)


@engineers
def version_manifest(request: HttpRequest, uid: UUID) -> HttpResponseBase:
    found = _version(uid)
    if not default_storage.exists(found.manifest):
        raise Http404
    name = f"{found.dataset.slug}-v{found.number}.jsonl.gz"
    file = default_storage.open(found.manifest)
    return FileResponse(file, as_attachment=True, filename=name, content_type="application/gzip")


@engineers
@require_POST
def export(request: HttpRequest, uid: UUID) -> HttpResponse:
    found, form = _version(uid), ExportForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose a layout, candidates and images from the lists."))
        return redirect("version", found.uid)
    layout = form.cleaned_data["layout"]
    return redirect(start_export(version=found, layout=layout, options=form.options(), by=user_of(request)))


@engineers
def version_file(request: HttpRequest, uid: UUID) -> HttpResponseBase:
    path = file_of(get_object_or_404(Job, uid=uid, kind="version_export"))
    if path is None:
        raise Http404
    return FileResponse(path.open("rb"), as_attachment=True, filename=path.name)
