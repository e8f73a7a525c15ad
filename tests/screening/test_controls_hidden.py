"""The editors that stand for controls are in no list and no form."""

from django.test import Client
from django.urls import reverse

from annotation.forms import StudyForm
from annotation.models import CONTROL_EDITORS, Editor
from tests.web import text_of
from webapp.accounts.models import User


def test_control_editors_are_in_no_list(db: None, bob: User) -> None:
    for slug in CONTROL_EDITORS:
        Editor.objects.create(slug=slug, name=f"Control {slug}")
    Editor.objects.create(slug="plain", name="Plain editor")
    browser = Client()
    browser.force_login(bob)
    page = text_of(browser.get(reverse("editors")))
    assert "Plain editor" in page and "Control control-" not in page
    assert [row.slug for row in StudyForm().fields["editors"].queryset] == ["plain"]  # type: ignore[attr-defined]
