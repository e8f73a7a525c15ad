"""The first admin is made at the command line."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from webapp.accounts.models import User


def test_it_works(db: None) -> None:
    out = io.StringIO()
    call_command("add_person", "zoe", stdout=out)
    password = out.getvalue().split()[-1]
    assert User.objects.get(username="zoe").is_admin
    assert Client().login(username="zoe", password=password)


def test_a_name_that_is_taken_is_refused(db: None) -> None:
    call_command("add_person", "zoe", role="annotator", stdout=io.StringIO())
    with pytest.raises(CommandError, match="already exists"):
        call_command("add_person", "zoe", stdout=io.StringIO())
    assert User.objects.get().role == "annotator"
