"""Endpoints as admins see them: keys go in and never come out, addresses are checked, "try it" says what it found."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from tests.endpoints.service import KEY, Service, edited, error, running
from webapp.endpoints import services
from webapp.endpoints.http import VARIABLE, endpoints_from_environment
from webapp.endpoints.models import Endpoint
from webapp.endpoints.secret import KeyLost, decrypt, encrypt
from webapp.jobs.folder import JobError

FORM = {
    "name": "Writer",
    "slug": "writer",
    "kind": "chat",
    "base_url": "http://127.0.0.1:9/v1",
    "model": "m-1",
    "concurrency": "4",
    "per_minute": "0",
}


@pytest.fixture
def admin(alice: Any, client: Client, settings: Any) -> Client:
    settings.PRIVATE_ENDPOINTS = True
    client.force_login(alice)
    return client


@pytest.fixture
def service() -> Iterator[Service]:
    with running() as made:
        yield made


def make(key: str = KEY, **changes: Any) -> Endpoint:
    values = {**FORM, "concurrency": 4, "per_minute": 0, **changes}
    return services.save_endpoint(endpoint=Endpoint(**values), key=key)


def pages(admin: Client, *endpoints: Endpoint) -> str:
    addresses = [reverse("endpoints"), reverse("endpoint_new"), *(one.get_absolute_url() for one in endpoints)]
    return "".join(admin.get(address).content.decode() for address in addresses)


def test_it_works(admin: Client, alice: Any) -> None:
    answer = admin.post(reverse("endpoint_new"), {**FORM, "key": KEY, "price_input": "2.5"})
    endpoint = Endpoint.objects.get()
    assert answer.status_code == 302
    assert answer["Location"] == endpoint.get_absolute_url()
    assert (endpoint.slug, endpoint.price_input, endpoint.created_by) == ("writer", 2.5, alice)
    config = services.config_of(endpoint)
    assert (config.key, config.model, config.allow_private) == (KEY, "m-1", True)
    assert KEY not in endpoint.key_encrypted
    shown = pages(admin, endpoint)
    assert "A key is stored" in shown
    assert KEY not in shown
    assert endpoint.key_encrypted not in shown


def test_an_empty_key_field_keeps_the_key_and_a_new_one_replaces_it(admin: Client, settings: Any) -> None:
    endpoint = make()
    admin.post(endpoint.get_absolute_url(), {**FORM, "name": "Other"})
    endpoint.refresh_from_db()
    assert (endpoint.name, services.config_of(endpoint).key) == ("Other", KEY)
    admin.post(endpoint.get_absolute_url(), {**FORM, "key": " new-key "})
    endpoint.refresh_from_db()
    assert services.config_of(endpoint).key == "new-key"
    admin.post(endpoint.get_absolute_url(), {**FORM, "forget_key": "on"})
    endpoint.refresh_from_db()
    assert services.config_of(endpoint).key == ""
    assert not endpoint.has_key


def test_a_stored_key_does_not_follow_the_address_to_another_server(admin: Client) -> None:
    endpoint = make()
    answer = admin.post(endpoint.get_absolute_url(), {**FORM, "base_url": "http://127.0.0.1:10/v1"})
    assert "Enter the key again" in answer.content.decode()
    endpoint.refresh_from_db()
    assert endpoint.base_url == FORM["base_url"]
    admin.post(endpoint.get_absolute_url(), {**FORM, "base_url": "http://127.0.0.1:9/v2/"})
    endpoint.refresh_from_db()
    assert endpoint.base_url == "http://127.0.0.1:9/v2", "another path of the same server"
    admin.post(endpoint.get_absolute_url(), {**FORM, "base_url": "http://127.0.0.1:10/v1", "key": "theirs"})
    endpoint.refresh_from_db()
    assert services.config_of(endpoint).key == "theirs"


def test_a_refused_form_does_not_show_the_key_either(admin: Client) -> None:
    answer = admin.post(reverse("endpoint_new"), {**FORM, "key": KEY, "slug": "No Slug"})
    assert "small letters" in answer.content.decode()
    assert KEY not in answer.content.decode()
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize("key", ["sk-SECRETé", "sk-SECRET\x7fx", "sk-SECRET\nx", "sk-SECRET\u200b"])
def test_a_key_of_other_characters_is_refused_and_not_shown(admin: Client, key: str) -> None:
    answer = admin.post(reverse("endpoint_new"), {**FORM, "key": key})
    assert answer.status_code == 200
    assert "letters, digits and signs" in answer.content.decode()
    assert "SECRET" not in answer.content.decode()
    assert not Endpoint.objects.exists()


def test_a_key_of_other_characters_that_was_stored_before_is_said(admin: Client) -> None:
    endpoint = make()
    Endpoint.objects.update(key_encrypted=encrypt("sk-SECRETé"))
    answer = admin.post(reverse("endpoint_try", args=[endpoint.uid]), follow=True)
    assert "Enter it again" in answer.content.decode()
    assert "SECRET" not in answer.content.decode()


WRONG = [
    ({"base_url": "ftp://example.org"}, "https://"),
    ({"base_url": "http://user:pass@example.org/v1"}, "user name"),
    ({"base_url": "http://169.254.169.254/v1"}, "refused"),
    ({"base_url": "http://example.invalid/v1?x=1"}, "before ? and #"),
    ({"concurrency": "0"}, "greater than or equal to 1"),
    ({"concurrency": "65"}, "less than or equal to 64"),
    ({"price_input": "-1"}, "greater than or equal to 0"),
    ({"kind": "video"}, "not one of"),
    ({"model": ""}, "required"),
]


@pytest.mark.parametrize(("changes", "words"), WRONG)
def test_wrong_values_are_refused_in_words(admin: Client, changes: dict[str, str], words: str) -> None:
    answer = admin.post(reverse("endpoint_new"), {**FORM, **changes})
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.1.2.3", "[::1]", "2130706433"])
def test_private_addresses_need_the_setting(admin: Client, settings: Any, host: str) -> None:
    settings.PRIVATE_ENDPOINTS = False
    answer = admin.post(reverse("endpoint_new"), {**FORM, "base_url": f"http://{host}/v1"})
    assert "EDITLOOP_PRIVATE_ENDPOINTS" in answer.content.decode()
    assert not Endpoint.objects.exists()


def test_a_short_name_is_given_once(admin: Client) -> None:
    make()
    answer = admin.post(reverse("endpoint_new"), FORM)
    assert "already exists" in answer.content.decode()


def test_the_database_holds_the_bounds(db: None, settings: Any) -> None:
    settings.PRIVATE_ENDPOINTS = True
    endpoint = make()
    for changes in ({"concurrency": 0}, {"kind": "video"}, {"price_image": -0.5}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Endpoint.objects.filter(pk=endpoint.pk).update(**changes)


def test_delete(admin: Client) -> None:
    endpoint = make()
    assert admin.post(reverse("endpoint_delete", args=[endpoint.uid])).status_code == 302
    assert not Endpoint.objects.exists()


def test_the_list_is_paged_in_few_queries(admin: Client, django_assert_max_num_queries: Any) -> None:
    for number in range(60):
        make(slug=f"e{number}")
    with django_assert_max_num_queries(6):
        answer = admin.get(reverse("endpoints"))
    assert answer.content.decode().count("<tr>") == 51
    assert "after=" in answer.content.decode()


# Try it ---------------------------------------------------------------------------------------------------------------


def tried(admin: Client, endpoint: Endpoint) -> str:
    return admin.post(reverse("endpoint_try", args=[endpoint.uid]), follow=True).content.decode()


def test_trying_a_chat_endpoint_says_what_came(admin: Client, service: Service) -> None:
    said = tried(admin, make(base_url=service.address, price_input=1.0, price_output=1.0))
    assert "It works. The model answering-model-1 answers: “Hello.”" in said
    assert "120 tokens, cost: 0.00012" in said
    assert service.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in said


def test_trying_an_images_endpoint(admin: Client, service: Service) -> None:
    service.usual = edited
    said = tried(admin, make(base_url=service.address, kind="images"))
    assert "It works. The model m-1 sent an image" in said
    assert "cost: unknown" in said


def test_trying_tells_what_is_wrong_once_and_without_the_key(admin: Client, service: Service) -> None:
    service.usual = lambda asked: error(401, f"Incorrect API key: {KEY}")
    said = tried(admin, make(base_url=service.address))
    assert "does not accept the key" in said
    assert KEY not in said
    service.usual = lambda asked: error(500)
    assert "in trouble" in tried(admin, Endpoint.objects.get())
    assert len(service.asked) == 2


# Keys at rest ---------------------------------------------------------------------------------------------------------


def test_keys_at_rest(settings: Any) -> None:
    assert encrypt("") == decrypt("") == ""
    one, other = encrypt(KEY), encrypt(KEY)
    assert one != other, "equal keys do not look equal"
    assert decrypt(one) == decrypt(other) == KEY


@pytest.mark.parametrize("name", ["SECRET_KEY", "ENDPOINT_KEY"])
def test_a_changed_setting_asks_for_the_key_again(
    admin: Client, alice: Any, service: Service, settings: Any, name: str
) -> None:
    endpoint = make(base_url=service.address)
    setattr(settings, name, "another")
    admin.force_login(alice)  # sessions are signed with the secret key
    with pytest.raises(KeyLost, match="Enter the key again"):
        services.config_of(endpoint)
    with pytest.raises(JobError, match=r"“Writer”.*Enter the key again"):
        services.environment_for(["writer"])
    assert "Enter the key again" in tried(admin, endpoint)
    assert admin.get(endpoint.get_absolute_url()).status_code == 200
    services.save_endpoint(endpoint=endpoint, key="new")
    assert services.config_of(endpoint).key == "new"


def test_an_own_key_survives_another_secret_key(db: None, settings: Any) -> None:
    settings.ENDPOINT_KEY = settings.SECRET_KEY + "x"
    stored = encrypt(KEY)
    settings.SECRET_KEY = "rotated"
    assert decrypt(stored) == KEY


def test_what_a_process_gets(db: None, settings: Any) -> None:
    settings.PRIVATE_ENDPOINTS = True
    make()
    make(slug="other", key="other-key")
    assert services.environment_for([]) == {}
    environment = services.environment_for(["writer", "writer"])
    assert [row["slug"] for row in json.loads(environment[VARIABLE])] == ["writer"]
    given = endpoints_from_environment(environment)["writer"]
    assert (given.key, given.allow_private) == (KEY, True)
    with pytest.raises(JobError, match="“gone” does not exist"):
        services.environment_for(["writer", "gone"])


def test_the_key_is_not_logged(admin: Client, service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    admin.post(reverse("endpoint_new"), {**FORM, "base_url": service.address, "key": KEY})
    tried(admin, Endpoint.objects.get())
    with pytest.raises(ValidationError):
        services.save_endpoint(endpoint=Endpoint(**{**FORM, "slug": "Wrong Slug"}), key=KEY)
    assert caplog.text
    assert KEY not in caplog.text
