"""All addresses. Each app lists its own; live streams lie under /live/ (see asgi.py)."""

from allauth.account.decorators import secure_admin_login  # noqa: F401
from django.urls import include, path

from webapp.core.views import health

urlpatterns = [
    path("health/", health, name="health"),
    path("accounts/", include("allauth.urls")),
    path("", include("webapp.dashboard.urls")),
    path("", include("webapp.accounts.urls")),
    path("", include("webapp.jobs.urls")),
    path("", include("webapp.endpoints.urls")),
    path("", include("webapp.hooks.urls")),
    path("", include("annotation.urls")),
    path("", include("scoring.urls")),
    path("", include("scoring.api.urls")),
    path("", include("training.urls")),
]

handler400 = "webapp.core.views.bad_request"
handler403 = "webapp.core.views.forbidden"
handler404 = "webapp.core.views.not_found"
handler429 = "webapp.core.views.too_many_requests"  # asked for by django-allauth
handler500 = "webapp.core.views.server_error"
