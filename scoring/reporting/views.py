"""The report of a study: as a page that prints well, and as one file to keep."""

from uuid import UUID

from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.text import slugify

from annotation.access import study_of
from scoring.reporting.report import report_of
from webapp.accounts.access import engineers

STYLES = ("css/boards.css", "css/report.css")


@engineers
def report(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = study_of(request, uid)
    return render(request, "reports/report.html", {"study": found, "report": report_of(found)})


@engineers
def report_file(request: HttpRequest, uid: UUID) -> HttpResponse:
    """One HTML file with its styles inside, which needs nothing else."""
    found = study_of(request, uid)
    context = {"study": found, "report": report_of(found), "styles": _styles(), "home": request.build_absolute_uri("/")}
    response = HttpResponse(render_to_string("reports/file.html", context), content_type="text/html; charset=utf-8")
    label = "simulation-" if found.is_simulated else "demo-" if found.notice else ""
    name = f"{label}report-{slugify(found.name) or 'study'}.html"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _styles() -> str:
    found = []
    for name in STYLES:
        path = finders.find(name)
        assert isinstance(path, str), f"{name} is part of the application"
        with open(path, encoding="utf-8") as file:
            found.append(file.read())
    return "\n".join(found)
