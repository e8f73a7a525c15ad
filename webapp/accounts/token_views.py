"""A person's tokens for programs."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from webapp.accounts import tokens as services
from webapp.accounts.access import engineers, user_of
from webapp.accounts.forms import TokenForm
from webapp.accounts.models import ApiToken
from webapp.core.paging import page_of


@engineers
@never_cache
def tokens(request: HttpRequest) -> HttpResponse:
    """One's own tokens. The text of a new one is in the answer to its form and nowhere else."""
    user, form, text = user_of(request), TokenForm(request.POST or None), ""
    if request.method == "POST" and form.is_valid():
        try:
            _token, text = services.make_token(by=user, **form.cleaned_data)
            form = TokenForm()
        except ValidationError as error:
            form.add_error(None, error)
    page = page_of(request, ApiToken.objects.filter(user=user))
    return render(request, "accounts/tokens.html", {"page": page, "form": form, "token": text})


@engineers
@require_POST
def revoke(request: HttpRequest, uid: UUID) -> HttpResponse:
    services.revoke(token=get_object_or_404(ApiToken, uid=uid, user=user_of(request)))
    messages.success(request, _("The token no longer works."))
    return redirect("tokens")
