"""Who gets in, and as what: invitations, sign-in and its limits, roles and closed accounts."""

import random
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import Member
from tests import make
from tests.installation import Installation, an_installation  # noqa: F401  # a fixture
from webapp.accounts import services
from webapp.accounts.models import Invitation, Role, User

PASSWORD, OLD_PASSWORD = "seven-green-parrots", "a-long-password"  # of new people, of those in conftest.py
DAVE = {"username": "dave", "email": "", "password": PASSWORD, "repeat": PASSWORD}


def invitation(by: User, role: str = "annotator", **more: Any) -> tuple[Invitation, str]:
    """An invitation and the address that it opens."""
    made, token = services.invite(by=by, role=role, **more)
    return made, reverse("accept_invitation", args=[token])


def words(html: bytes) -> str:
    return re.sub(r"\s+", " ", html.decode())


# Invitations ---------------------------------------------------------------------------------------------------------


def test_it_works(client: Client, alice: Any) -> None:
    client.force_login(alice)
    html = words(client.post(reverse("people"), {"role": "engineer", "note": "for dave"}).content)
    found = re.search(r'id="invitation-link">http://testserver(/invitation/[^<]+)<', html)
    assert found
    dave = Client()
    assert "You were invited as: Prompt engineer." in words(dave.get(found[1]).content)
    assert dave.post(found[1], DAVE)["Location"] == reverse("home")
    assert dave.get(reverse("overview")).status_code == 200
    made = User.objects.get(username="dave")
    assert (made.role, made.check_password(PASSWORD), made.is_staff, made.is_superuser) == (
        "engineer",
        True,
        False,
        False,
    )
    used = Invitation.objects.get()
    assert (used.used_by, used.note, used.created_by) == (made, "for dave", alice)
    assert "for dave" not in words(client.get(reverse("people")).content)


@pytest.mark.parametrize("role", Role.values)
def test_the_role_is_the_invitation_s(client: Client, alice: Any, role: str) -> None:
    _made, url = invitation(alice, role)
    client.post(url, {**DAVE, "role": "admin", "is_superuser": "1"})
    assert User.objects.get(username="dave").role == role


def test_a_link_works_once(alice: Any) -> None:
    _made, url = invitation(alice)
    assert Client().post(url, DAVE).status_code == 302
    again = Client().post(url, {**DAVE, "username": "erin"})
    assert again.status_code == 404
    assert "This invitation does not work" in words(again.content)
    assert not User.objects.filter(username="erin").exists()


def test_a_race_for_a_link_has_one_winner(installation: Installation) -> None:
    made = installation.ask("""
from threading import Barrier, Thread
from django.core.exceptions import ValidationError
from django.db import connection
from webapp.accounts import services
from webapp.accounts.models import User
host = User.objects.create_user(username="host", role="admin")
tokens = [services.invite(by=host, role="annotator")[1] for _ in range(5)]
barrier, refused = Barrier(5), []
def race(number):
    try:
        for place, token in enumerate(tokens):
            barrier.wait()
            try:
                services.accept(token=token, username=f"racer-{place}-{number}", password="x")
            except ValidationError as error:
                refused.extend(error.messages)
    finally:
        connection.close()
threads = [Thread(target=race, args=(number,)) for number in range(5)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
names = sorted(User.objects.filter(username__startswith="racer-").values_list("username", flat=True))
answer = {"places": [name.split("-")[1] for name in names], "refused": refused}
""")
    assert made["places"] == ["0", "1", "2", "3", "4"]
    assert len(made["refused"]) == 20
    assert set(made["refused"]) == {"This invitation was used already or has expired. Ask for a new one."}


def expired(made: Invitation) -> None:
    made.expires_at = timezone.now() - timedelta(seconds=1)
    made.save()


def withdrawn(made: Invitation) -> None:
    client = Client()
    client.force_login(User.objects.get(username="alice"))
    assert client.post(reverse("withdraw_invitation", args=[made.uid])).status_code == 302


@pytest.mark.parametrize("end", [expired, withdrawn])
def test_a_link_that_ended(client: Client, alice: Any, end: Callable[[Invitation], None]) -> None:
    made, url = invitation(alice)
    end(made)
    for response in (client.get(url), client.post(url, DAVE)):
        assert response.status_code == 404
        assert "Ask the person who sent it for a new one." in words(response.content)
    assert not User.objects.filter(username="dave").exists()


def test_a_link_that_expires_while_the_form_is_filled(alice: Any) -> None:
    made, token = services.invite(by=alice, role="annotator")
    expired(made)
    with pytest.raises(ValidationError, match="has expired"):
        services.accept(token=token, username="dave", password=PASSWORD)
    assert not User.objects.filter(username="dave").exists()


@pytest.mark.parametrize("token", ["x", "%00", "é", "a" * 3000, "' OR 1=1 --"])
def test_links_that_nobody_made(client: Client, db: None, token: str) -> None:
    assert client.get(reverse("accept_invitation", args=[token])).status_code == 404


def test_the_table_does_not_hold_the_link(alice: Any) -> None:
    made, url = invitation(alice)
    token = url.split("/")[2]
    assert token not in str(Invitation.objects.filter(pk=made.pk).values().get())


@pytest.mark.parametrize("role", ["engineer", "admin"])
def test_an_engineer_cannot_invite_to_this_role(bob: Any, role: str) -> None:
    with pytest.raises(ValidationError, match="Only an admin"):
        services.invite(by=bob, role=role)
    assert not Invitation.objects.exists()


def test_an_unknown_role(client: Client, alice: Any) -> None:
    with pytest.raises(ValidationError):
        services.invite(by=alice, role="owner")
    client.force_login(alice)
    assert client.post(reverse("people"), {"role": "owner"}).status_code == 200
    assert not Invitation.objects.exists()
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=alice.pk).update(role="owner")


def test_an_invitation_to_a_study_joins_it(tmp_path: Path, alice: Any, bob: Any) -> None:
    study = make.study(make.dataset(tmp_path, owner=bob), owner=bob)
    other = make.study(make.dataset(tmp_path, owner=bob), owner=bob)
    host = Client()
    host.force_login(bob)
    html = words(host.post(reverse("study_members", args=[study.uid]), {"invite": "1"}).content)
    found = re.search(r"http://testserver(/invitation/[^<\"]+)", html)
    assert found, html
    dave = Client()
    dave.post(found[1], DAVE)
    assert User.objects.get(username="dave").role == "annotator"
    page = words(dave.get(reverse("work")).content)
    assert study.name in page
    assert list(Member.objects.filter(user__username="dave").values_list("study", flat=True)) == [study.pk]
    assert dave.get(reverse("workplace", args=[other.uid])).status_code == 404


# The form ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"password": "short", "repeat": "short"}, "too short"),
        ({"password": "password123", "repeat": "password123"}, "too common"),
        ({"username": "davidson-1988", "password": "davidson-1988", "repeat": "davidson-1988"}, "too similar"),
        ({"email": "davidson@example.org", "password": "davidson.99", "repeat": "davidson.99"}, "too similar"),
        ({"repeat": "seven-green-parrot"}, "The two passwords differ."),
        ({"password": "", "repeat": ""}, "required"),
        ({"username": "da ve"}, "valid username"),
        ({"username": "alice"}, "already"),
        ({"username": "ALICE"}, "already"),
        ({"username": "x" * 151}, "at most 150"),
        ({"email": "dave"}, "valid email"),
    ],
)
def test_what_the_form_refuses(client: Client, alice: Any, change: dict[str, str], sentence: str) -> None:
    made, url = invitation(alice)
    response = client.post(url, {**DAVE, **change})
    assert response.status_code == 200
    assert sentence in words(response.content)
    assert User.objects.count() == 1
    made.refresh_from_db()
    assert made.is_open
    assert client.post(url, DAVE).status_code == 302


# Roles and closed accounts -------------------------------------------------------------------------------------------


def change(client: Client, person: User, **data: str) -> str:
    return words(client.post(reverse("change_person", args=[person.pk]), data, follow=True).content)


def test_a_role_is_changed(client: Client, alice: Any, bob: Any, carol: Any) -> None:
    client.force_login(alice)
    assert "Saved." in change(client, bob, role="annotator", is_active="on")
    hers = Client()
    hers.force_login(bob)
    assert hers.get(reverse("overview")).status_code == 403
    assert "Saved." in change(client, carol, role="engineer", is_active="on")
    carol.refresh_from_db()
    assert carol.role == "engineer"


def test_a_closed_account_is_out_at_once(client: Client, alice: Any, carol: Any) -> None:
    hers = Client()
    assert sign_in(hers, "carol").status_code == 302
    assert hers.get(reverse("work")).status_code == 200
    client.force_login(alice)
    change(client, carol, role="annotator")
    assert hers.get(reverse("work"))["Location"].startswith(reverse("account_login"))
    assert sign_in(hers, "carol")["Location"] == reverse("account_inactive")
    assert hers.get(reverse("work")).status_code == 302
    change(client, carol, role="annotator", is_active="on")
    assert sign_in(hers, "carol")["Location"] == reverse("home")


def test_nobody_locks_themselves_out(client: Client, alice: Any) -> None:
    client.force_login(alice)
    assert "You cannot change your own role" in change(client, alice, role="annotator")
    alice.refresh_from_db()
    assert (alice.role, alice.is_active) == ("admin", True)


def test_a_role_that_is_none(client: Client, alice: Any, bob: Any) -> None:
    client.force_login(alice)
    assert "Choose a role from the list." in change(client, bob, role="owner", is_active="on")
    bob.refresh_from_db()
    assert bob.role == "engineer"


@pytest.mark.parametrize(
    ("role", "active", "left"),
    [
        ("admin", True, {"admin", "engineer", "annotator"}),
        ("engineer", True, {"annotator"}),
        ("annotator", True, set()),
        ("admin", False, set()),
    ],
)
def test_links_of_somebody_who_may_not_send_them_any_more_end(
    person: Callable[..., User], alice: Any, role: str, active: bool, left: set[str]
) -> None:
    """Else an admin whose account is closed comes back by a link kept in a drawer."""
    zoe = person("zoe", "admin")
    urls = {wanted: invitation(zoe, wanted)[1] for wanted in Role.values}
    _others, url = invitation(alice, "admin")
    services.change_person(person=zoe, by=alice, role=role, is_active=active)
    assert {wanted for wanted, link in urls.items() if Client().get(link).status_code == 200} == left
    assert Client().get(url).status_code == 200


# Signing in ----------------------------------------------------------------------------------------------------------


def sign_in(client: Client, name: str, password: str = OLD_PASSWORD, ip: str = "", **headers: str) -> Any:
    """Without an address, from one that nobody else has."""
    ip = ip or f"fd00:{random.randrange(2**16):x}:{random.randrange(2**16):x}:{random.randrange(2**16):x}::1"
    data = {"login": name, "password": password}
    return client.post(reverse("account_login"), data, REMOTE_ADDR=ip, headers=headers)


def unique(name: str) -> str:
    """A name whose failures no earlier run has counted."""
    return f"{name}-{random.randrange(10**12)}"


def test_sign_in_by_name_and_by_email(client: Client, person: Callable[..., User]) -> None:
    user = person(unique("dave"), "annotator")
    user.email = f"{user.username}@example.org"
    user.save()
    for name in (user.username, user.username.upper(), user.email):
        assert sign_in(client, name)["Location"] == reverse("home"), name
        client.logout()
    refused = sign_in(client, user.username, "a-wrong-password")
    assert refused.status_code == 200
    assert "_auth_user_id" not in client.session


def test_guessing_one_password_is_limited(client: Client, person: Callable[..., User]) -> None:
    """From however many addresses; and then the right one does not help, or guessing would go on."""
    dave, erin = person(unique("dave"), "annotator"), person(unique("erin"), "annotator")
    for number in range(5):
        assert "Too many failed login attempts" not in words(sign_in(client, dave.username, f"guess-{number}").content)
    assert "Too many failed login attempts" in words(sign_in(client, dave.username).content)
    assert "_auth_user_id" not in client.session
    assert sign_in(client, erin.username).status_code == 302


def test_guessing_many_names_from_one_address_is_limited(client: Client, person: Callable[..., User]) -> None:
    """Whatever address the client says that it forwards for: only the proxy's word counts."""
    dave, ip = person(unique("dave"), "annotator"), f"10.{random.randrange(256)}.{random.randrange(256)}.7"
    for number in range(10):
        sign_in(client, unique("nobody"), ip=ip, **{"X-Forwarded-For": f"192.0.2.{number}"})
    refused = words(sign_in(client, dave.username, ip=ip, **{"X-Forwarded-For": "192.0.2.99"}).content)
    assert "Too many failed login attempts" in refused
    assert sign_in(client, dave.username).status_code == 302


def test_signing_in_again_and_again_is_limited(client: Client, person: Callable[..., User]) -> None:
    dave, ip = person(unique("dave"), "annotator"), f"10.{random.randrange(256)}.{random.randrange(256)}.8"
    statuses = []
    for _ in range(31):
        last = sign_in(client, dave.username, ip=ip)
        statuses.append(last.status_code)
        client.logout()
    assert statuses == [302] * 30 + [429]
    assert "Too many requests" in words(last.content)
    assert "Editloop" in words(last.content)


def test_there_is_no_open_sign_up(client: Client, db: None) -> None:
    data = {"username": "dave", "password1": PASSWORD, "password2": PASSWORD, "email": ""}
    for url in (reverse("account_signup"), reverse("socialaccount_signup")):
        assert b'name="password1"' not in client.get(url, follow=True).content
        client.post(url, data, follow=True)
    assert not User.objects.exists()
    assert reverse("account_signup").encode() not in client.get(reverse("account_login")).content


def test_the_way_in_leads_where_one_wanted_to_go_and_nowhere_else(client: Client, alice: Any) -> None:
    url = client.get(reverse("people"))["Location"]
    assert url == f"{reverse('account_login')}?next={reverse('people')}"
    data = {"login": "alice", "password": OLD_PASSWORD}
    assert client.post(url, data, REMOTE_ADDR="10.1.1.1")["Location"] == reverse("people")
    client.logout()
    evil = client.post(f"{reverse('account_login')}?next=https://evil.example/", data, REMOTE_ADDR="10.1.1.2")
    assert evil["Location"] == reverse("home")
    assert client.get(reverse("account_logout")).status_code in (200, 302)
    assert client.post(reverse("account_logout"))["Location"] == reverse("account_login")
    assert client.get(reverse("people")).status_code == 302
