"""People and invitations."""

from django.contrib import messages
from django.contrib.auth import login
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from webapp.accounts import services
from webapp.accounts.access import admins, user_of
from webapp.accounts.forms import AcceptForm, InviteForm, PersonForm
from webapp.accounts.models import Invitation, Role, User
from webapp.core.paging import page_of


@admins
def people(request: HttpRequest) -> HttpResponse:
    form, link = InviteForm(request.POST or None), ""
    if request.method == "POST" and form.is_valid():
        _invitation, token = services.invite(by=user_of(request), **form.cleaned_data)
        link, form = request.build_absolute_uri(Invitation.path(token)), InviteForm()
    context = {
        "page": page_of(request, User.objects.all()),
        "invitations": Invitation.objects.filter(used_at=None, expires_at__gt=timezone.now()).order_by("-id")[:50],
        "form": form,
        "link": link,
        "roles": Role.choices,
    }
    return render(request, "accounts/people.html", context)


@admins
@require_POST
def change_person(request: HttpRequest, pk: int) -> HttpResponse:
    person, form = get_object_or_404(User, pk=pk), PersonForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError(_("Choose a role from the list."))
        services.change_person(person=person, by=user_of(request), **form.cleaned_data)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("Saved."))
    return redirect("people")


@admins
@require_POST
def withdraw_invitation(request: HttpRequest, uid: str) -> HttpResponse:
    get_object_or_404(Invitation, uid=uid, used_at=None).delete()
    messages.success(request, _("The invitation no longer works."))
    return redirect("people")


def accept_invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Open to everybody who holds the link; a used or expired one is a sentence, not a form."""
    invitation = Invitation.objects.filter(token_hash=Invitation.hash(token)).first()
    if invitation is None or not invitation.is_open:
        return render(request, "accounts/invitation_closed.html", status=404)
    form = AcceptForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.cleaned_data.pop("repeat")
        try:
            user, _used = services.accept(token=token, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, list(error.messages))
        else:
            login(request, user, backend="django.contrib.auth.backends.ModelBackend")
            return redirect("home")
    return render(request, "accounts/accept.html", {"form": form, "invitation": invitation})
