"""Recipes: the list, a new one, the page of one and what people do there."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotation.access import dataset_of
from scoring.asking.forms import beside
from training.models import Recipe
from training.recipes import checks, queries, services
from training.recipes.forms import RecipeForm
from webapp.accounts.access import engineers, may_change, user_of
from webapp.core.paging import page_of


@engineers
def recipes(request: HttpRequest) -> HttpResponse:
    rows = Recipe.objects.select_related("dataset", "kept", "created_by")
    return render(request, "recipes/recipes.html", {"page": page_of(request, rows)})


@engineers
def new_recipe(request: HttpRequest, uid: UUID) -> HttpResponse:
    """GET with the form's values shows what it comes to; POST starts it. Any engineer may: what it makes is theirs."""
    dataset = dataset_of(request, uid)
    form = RecipeForm(request.POST or request.GET or None, dataset=dataset)
    wish = form.wish() if form.is_valid() else None
    if wish:
        name = form.cleaned_data["name"]
        try:
            if request.method == "POST":
                return redirect(services.start_recipe(dataset=dataset, name=name, wish=wish, by=user_of(request)))
            checks.check(dataset=dataset, name=name, wish=wish)
        except ValidationError as error:
            beside(form, error)
    estimate = queries.estimate_of(dataset, wish) if wish else None
    draw = queries.lines_of(estimate) if estimate else []
    return render(request, "recipes/new.html", {"dataset": dataset, "form": form, "estimate": estimate, "draw": draw})


def _recipe(request: HttpRequest, uid: UUID, change: bool = False) -> Recipe:
    rows = Recipe.objects.select_related("dataset", "drawn", "kept", "created_by")
    found = get_object_or_404(rows, uid=uid)
    if change and not may_change(user_of(request), found.created_by_id):
        raise PermissionDenied(_("This recipe is somebody else's. Ask them or an admin."))
    return found


def _context(request: HttpRequest, uid: UUID) -> dict[str, object]:
    found = _recipe(request, uid)
    may = may_change(user_of(request), found.created_by_id)
    return {**queries.page_of_recipe(found), "may_change": may}


@engineers
def recipe(request: HttpRequest, uid: UUID) -> HttpResponse:
    return render(request, "recipes/recipe.html", _context(request, uid))


@engineers
def recipe_now(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The moving part of the page, fetched again every few seconds and when a job starts or ends."""
    return render(request, "recipes/now.html", _context(request, uid))


def _act(request: HttpRequest, uid: UUID, action: Callable[..., Recipe], done: str) -> HttpResponse:
    found = _recipe(request, uid, change=True)
    try:
        action(recipe=found)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, done)
    return redirect(found)


@engineers
@require_POST
def go_on(request: HttpRequest, uid: UUID) -> HttpResponse:
    return _act(request, uid, services.go_on, _("The recipe goes on."))


@engineers
@require_POST
def try_again(request: HttpRequest, uid: UUID) -> HttpResponse:
    return _act(request, uid, services.try_again, _("The step is tried again."))


@engineers
@require_POST
def stop(request: HttpRequest, uid: UUID) -> HttpResponse:
    return _act(request, uid, services.stop, _("The jobs of this step were asked to stop. They save their place."))
