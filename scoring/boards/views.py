"""Pages of a study: agreement, annotators, leaderboard, the rows behind its numbers, and figures as CSV."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render

from annotation import queries
from annotation.access import study_of
from annotation.models import Editor, Study, Task
from scoring import connections, results
from scoring.boards import dashboard, ladder
from scoring.boards.behind import PAGE, behind, entries_of
from scoring.boards.course import Course, course
from scoring.boards.figure import Figure, csv_of
from scoring.boards.forms import LeaderboardForm
from scoring.boards.kept import LARGE_BOOTSTRAP, Kept, kept_for
from scoring.boards.progress import Progress, end_of, progress
from scoring.boards.standings import Standings, standings
from webapp.accounts.access import engineers, may_change, user_of
from webapp.core.paging import page_of


@dataclass(frozen=True)
class Tab:
    """What a tab shows: its figures, which can be saved, and whatever else its template needs."""

    figures: list[Figure]
    more: dict[str, Any] = field(default_factory=dict)


Build = Callable[[HttpRequest, Study, dict[str, int]], Tab]


def overview(_request: HttpRequest, found: Study, done: dict[str, int]) -> Tab:
    """How far the study is, and its results in short."""
    kept = kept_for(found, "progress", done["done"], lambda: progress(found).to_json())
    at, told = Progress.from_json(kept.value), _results(found, done)
    end = end_of(found, at, done["target"], done["done"])
    return Tab([dashboard.days(at)], {"at": at, "end": end, "results": told.value, "kept": told})


def _results(found: Study, done: dict[str, int]) -> Kept[results.Results]:
    kept = kept_for(found, "results", done["done"], lambda: results.compute(found))
    return Kept(results.shown(found, kept.value), kept.taken_at, kept.is_kept)


def _course(found: Study, done: dict[str, int]) -> Kept[Course]:
    kept = kept_for(found, "course", done["done"], lambda: course(found).to_json())
    return Kept(Course.from_json(kept.value), kept.taken_at, kept.is_kept)


def agreement_tab(_request: HttpRequest, found: Study, done: dict[str, int]) -> Tab:
    """Do people agree, does it change, and can their scores be compared at all?"""
    over_time, told = _course(found, done), _results(found, done)
    apart = kept_for(found, "connections", done["done"], lambda: connections.compute(found))
    figures = [dashboard.agreement(found, over_time.value)]
    more = {"results": told.value, "kept": over_time, "connections": connections.shown(apart.value)}
    return Tab(figures, more)


def annotators_tab(request: HttpRequest, found: Study, done: dict[str, int]) -> Tab:
    """How each annotator works: whether they count, the scale they use, time, drift."""
    over_time, told = _course(found, done), _results(found, done)
    kept = kept_for(found, "progress", done["done"], lambda: progress(found).to_json())
    times = Progress.from_json(kept.value)
    keys = [dimension.key for dimension in found.protocol.dimensions]
    asked = request.GET.get("dimension", "")
    dimension = keys.index(asked) if asked in keys else 0
    start = _start(request, len(times.annotators))
    figures = [
        dashboard.seconds(times, start),
        dashboard.distributions(found, over_time.value, dimension, start),
        dashboard.drift(found, over_time.value),
    ]
    more = {
        "results": told.value,
        "kept": over_time,
        "dimension": found.protocol.dimensions[dimension],
        "earlier": max(0, start - dashboard.PEOPLE) if start else None,
        "later": start + dashboard.PEOPLE if start + dashboard.PEOPLE < len(times.annotators) else None,
    }
    return Tab(figures, more)


def _start(request: HttpRequest, people: int) -> int:
    """The first annotator that is shown; 0 for what is no number, or beyond the last."""
    value = request.GET.get("start", "")
    start = int(value) if value.isascii() and value.isdigit() and len(value) < 7 else 0
    return start if start < people else 0


def leaderboard_tab(request: HttpRequest, found: Study, done: dict[str, int]) -> Tab:
    """Which editor is better; settings that cannot be used are refused, and the usual ones stand."""
    form = LeaderboardForm(request.GET if _asks(request) else None, found.protocol)
    options = form.options()
    name = f"standings-{options.method}-{options.dimension}"
    kept = kept_for(
        found,
        name,
        done["done"],
        lambda: standings(found, options.method, options.dimension).to_json(),
        large=LARGE_BOOTSTRAP,
    )
    stand = Standings.from_json(kept.value)
    more = {"form": form, "options": options, "kept": kept}
    if not stand.parts:
        return Tab([], more)
    board = ladder.ladder(found, stand, options)
    return Tab(ladder.figures(board), {**more, "board": board})


def _asks(request: HttpRequest) -> bool:
    return any(name in ("dimension", "by", "method") or name.startswith("weight_") for name in request.GET)


TABS: dict[str, Build] = {
    "overview": overview,
    "agreement": agreement_tab,
    "annotators": annotators_tab,
    "leaderboard": leaderboard_tab,
}


def context_of(request: HttpRequest, found: Study, name: str) -> dict[str, Any]:
    """Everything that the template of a tab needs."""
    done = queries.study_progress([found])[0]
    tab = TABS[name](request, found, done)
    query = request.GET.copy()
    query.pop("part", None)
    may = may_change(user_of(request), found.created_by_id)
    figures = {figure.name: figure for figure in tab.figures}
    context = {"study": found, "tab": name, "progress": done, "figures": figures, "may_change": may}
    return {**context, "query": query.urlencode(), **tab.more}


@engineers
def tab(request: HttpRequest, uid: UUID, name: str) -> HttpResponse:
    """A tab of the study's page; with ``?part=1`` its moving part alone, fetched again when a judgement came in."""
    found = study_of(request, uid)
    template = f"boards/{name}_part.html" if request.GET.get("part") else f"boards/{name}.html"
    return render(request, template, context_of(request, found, name))


@engineers
def figure_csv(request: HttpRequest, uid: UUID, tab: str, name: str) -> HttpResponseBase:
    """The numbers of one figure, as the page has them now."""
    found = study_of(request, uid)
    if tab not in TABS:
        raise Http404
    built = TABS[tab](request, found, queries.study_progress([found])[0])
    chosen = next((figure for figure in built.figures if figure.name == name), None)
    if chosen is None:
        raise Http404
    response = StreamingHttpResponse(csv_of(chosen, found.notice), content_type="text/csv; charset=utf-8")
    label = "simulation-" if found.is_simulated else "demo-" if found.notice else ""
    response.headers["Content-Disposition"] = f'attachment; filename="{label}{tab}-{name}.csv"'
    return response


@engineers
def editor(request: HttpRequest, uid: UUID, slug: str) -> HttpResponse:
    """The candidates of one editor in the study: the rows behind the leaderboard's numbers."""
    asked = {name: request.GET.get(name, "") for name in ("task", "against", "dimension")}
    if "\0" in "".join(asked.values()):  # which PostgreSQL takes in no text
        raise Http404
    found, maker = study_of(request, uid), get_object_or_404(Editor, slug=slug)
    task = get_object_or_404(Task, pk=asked["task"]) if asked["task"] else None
    rival = get_object_or_404(Editor, slug=asked["against"]) if asked["against"] else None
    page = page_of(request, entries_of(found, maker, asked["task"], rival), PAGE, newest_first=False)
    context = {
        "study": found,
        "editor": maker,
        "task": task,
        "against": rival,
        "dimension": asked["dimension"],
        "dimensions": found.protocol.dimensions,
        "rows": behind(found, page.rows, rival),
        "page": page,
    }
    return render(request, "boards/editor.html", context)
