"""Webhooks against a real receiver: what arrives, what is refused, what is tried again, what is given up."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tests.hooks.receiver import Receiver, receiver
from webapp.hooks import sending, services, tasks
from webapp.hooks.models import Delivery, Webhook

State = Delivery.State


@dataclass
class Scope:
    uid: UUID
    name: str = "Study"
    notice: str = "Simulation."


@pytest.fixture(scope="module")
def running() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def there(running: Receiver, settings: Any) -> Receiver:
    running.answers.clear()
    running.got.clear()
    settings.WEBHOOK_HOSTS = [f"127.0.0.1:{running.port}"]
    return running


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which webhooks a worker was woken for: there is no worker here, the tests send."""
    woken: list[str] = []
    monkeypatch.setattr(tasks.send, "apply_async", lambda arguments, **_options: woken.append(arguments[0]))
    services.wake()
    return woken


@pytest.fixture
def hook(there: Receiver, bob: Any) -> tuple[Webhook, str]:
    return services.add_webhook(address=there.address, events=["study.state", "job.finished"], study_uid=None, by=bob)


def announce_state(key: str = "", **more: Any) -> int:
    return services.announce("study.state", {"state": "closed"}, key=key, **more)


def later(delivery: Delivery) -> Delivery:
    """As if all pauses were over."""
    past = timezone.now() - timedelta(seconds=1)
    Delivery.objects.filter(state=State.WAITING).update(next_at=past)
    Webhook.objects.update(held_until=None)
    sending.send_due(str(delivery.webhook.uid))
    delivery.refresh_from_db()
    return delivery


def test_an_event_arrives_signed(
    there: Receiver, hook: tuple[Webhook, str], sent: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    study = Scope(uuid4())
    with django_capture_on_commit_callbacks(execute=True):
        assert announce_state(study=study) == 1
    assert sent == [str(hook[0].uid)]
    assert sending.send_due(sent[0]) == 1
    ((headers, body),) = there.got
    value = json.loads(body)
    assert value["event"] == headers["Editloop-Event"] == "study.state"
    assert value["data"] == {"state": "closed"}
    assert value["study"] == {"uid": str(study.uid), "name": "Study", "notice": "Simulation."}
    found = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", headers["Editloop-Signature"])
    assert found
    wanted = hmac.new(hook[1].encode(), found[1].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(found[2], wanted)
    row = Delivery.objects.get()
    assert (row.state, row.tries, row.status, row.answer) == (State.DELIVERED, 1, 200, "ok")
    assert headers["Editloop-Delivery"] == str(row.uid)


def test_the_secret_is_not_in_the_database(hook: tuple[Webhook, str]) -> None:
    assert hook[1] not in hook[0].secret_encrypted
    assert len(hook[1]) >= 43


def test_nothing_is_written_or_asked_without_webhooks(db: None) -> None:
    assert announce_state() == 0
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert announce_state() == 0
    assert len(queries) == 0


def test_an_unknown_event_is_a_mistake_of_the_program(db: None) -> None:
    with pytest.raises(ValueError, match=r"There is no event"):
        services.announce("studystate", {})


def test_only_who_wants_an_event_hears_of_it(there: Receiver, hook: tuple[Webhook, str], bob: Any) -> None:
    mine, other = Scope(uuid4()), Scope(uuid4())
    one, _ = services.add_webhook(address=there.address, events=["study.state"], study_uid=mine.uid, by=bob)
    assert services.announce("unit.full", {}, study=mine) == 0
    assert announce_state(study=mine) == 2
    assert announce_state(study=other) == 1
    assert announce_state() == 1
    assert one.deliveries.count() == 1


@pytest.mark.parametrize("change", [{"is_active": False}, {"role": "annotator"}])
def test_who_lost_the_right_to_know_is_told_nothing(
    hook: tuple[Webhook, str], bob: Any, change: dict[str, Any]
) -> None:
    announce_state()
    type(bob).objects.filter(pk=bob.pk).update(**change)
    assert announce_state() == 0
    assert sending.send_due(str(hook[0].uid)) == 0
    assert sending.look() == 0


def test_a_delivery_is_undone_with_what_it_tells_of(hook: tuple[Webhook, str]) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        announce_state()
        raise RuntimeError
    assert not Delivery.objects.exists()


def test_the_same_key_is_sent_once(hook: tuple[Webhook, str]) -> None:
    announce_state(key="a")
    announce_state(key="a")
    announce_state(key="b")
    assert Delivery.objects.count() == 2


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://127.0.0.1:9/", "public internet"),
        ("http://[::1]/", "public internet"),
        ("http://10.1.2.3/", "public internet"),
        ("https://192.168.0.1/x", "public internet"),
        ("http://169.254.169.254/latest", "metadata"),
        ("http://[fe80::1]/", "own network"),
        ("http://[::ffff:127.0.0.1]/", "refused"),
        ("http://localhost:9/", "public internet"),
        ("ftp://example.org/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("http://me:secret@93.184.216.34/", "password"),
        ("http://93.184.216.34/#x", "ends before #"),
        ("http://93.184.216.34/", "must start with https://"),
        ("no address", "https://"),
    ],
)
def test_an_address_that_is_refused(bob: Any, settings: Any, address: str, why: str) -> None:
    settings.WEBHOOK_HOSTS = []
    with pytest.raises(ValidationError) as caught:
        services.add_webhook(address=address, events=["study.state"], study_uid=None, by=bob)
    assert why in str(caught.value.message_dict["address"])
    assert not Webhook.objects.exists()


def test_link_local_stays_closed_whatever_the_setting_says(bob: Any, settings: Any) -> None:
    settings.WEBHOOK_HOSTS = ["169.254.169.254"]
    with pytest.raises(ValidationError, match="metadata"):
        services.add_webhook(address="http://169.254.169.254/", events=["study.state"], study_uid=None, by=bob)


@pytest.mark.parametrize("events", [[], ["study.stat"], ["ping"]])
def test_events_that_do_not_exist(bob: Any, events: list[str]) -> None:
    with pytest.raises(ValidationError, match="at least one event"):
        services.add_webhook(address="https://93.184.216.34/", events=events, study_uid=None, by=bob)


def test_a_name_that_moves_into_the_private_network_is_not_followed(there: Receiver, bob: Any, settings: Any) -> None:
    """DNS rebinding: public when it was entered, our own machine when it is used."""
    settings.WEBHOOK_HOSTS = []
    places = {"now": ["93.184.216.34"]}

    def resolve(host: str, port: int) -> list[str]:
        return places["now"]

    guard = sending.Guard
    with patch.object(sending, "Guard", lambda allow, hint: guard(allow, resolver=resolve, hint=hint)):
        address = f"https://moving.example:{there.port}/"
        hook, _secret = services.add_webhook(address=address, events=["study.state"], study_uid=None, by=bob)
        announce_state()
        places["now"] = ["127.0.0.1"]
        assert sending.send_due(str(hook.uid)) == 1
    row = Delivery.objects.get()
    assert (row.state, row.status) == (State.WAITING, None)
    assert "127.0.0.1" in row.answer
    assert there.got == []


def test_a_redirect_is_not_followed(there: Receiver, hook: tuple[Webhook, str]) -> None:
    there.answers = [(302, b"")]
    announce_state()
    row = later(Delivery.objects.get())
    assert (row.state, row.status, len(there.got)) == (State.WAITING, 302, 1)
    assert "redirects are not followed" in row.answer


def test_tries_come_with_growing_pauses_and_end(there: Receiver, hook: tuple[Webhook, str]) -> None:
    there.answers = [(500, b"trouble")] * sending.TRIES
    announce_state()
    row, pauses = Delivery.objects.get(), []
    for number in range(1, sending.TRIES):
        row = later(row)
        assert (row.tries, row.state) == (number, State.WAITING)
        assert row.tried_at
        pauses.append((row.next_at - row.tried_at).total_seconds())
    assert pauses == list(sending.PAUSES) == sorted(pauses)
    row = later(row)
    assert (row.tries, row.state, row.status, row.answer) == (sending.TRIES, State.GIVEN_UP, 500, "trouble")
    assert sending.send_due(str(hook[0].uid)) == 0


def test_a_receiver_that_is_away_is_asked_rarely_and_then_no_more(
    there: Receiver, hook: tuple[Webhook, str], sent: list[str]
) -> None:
    there.answers = [(503, b"")] * 50
    for _number in range(20):
        announce_state()
    assert sending.send_due(str(hook[0].uid)) == 1  # the first failure holds the rest
    hook[0].refresh_from_db()
    assert hook[0].held_until
    assert hook[0].held_until > timezone.now()
    assert sending.send_due(str(hook[0].uid)) == sending.look() == 0
    for _number in range(sending.MOST_FAILURES - 1):
        later(Delivery.objects.order_by("id")[0])
    hook[0].refresh_from_db()
    assert not hook[0].is_active
    assert "12 tries in a row" in hook[0].note
    assert len(there.got) == sending.MOST_FAILURES
    assert announce_state() == 0
    there.answers.clear()
    services.switch(hook=hook[0], on=True)
    Delivery.objects.update(next_at=timezone.now())
    assert sending.look() == 1
    assert sending.send_due(str(hook[0].uid)) == 20
    assert not Delivery.objects.exclude(state=State.DELIVERED).exists()


def test_one_message_that_always_fails_keeps_no_other(there: Receiver, hook: tuple[Webhook, str]) -> None:
    there.answers = [(400, b"not this one")]
    announce_state()
    first = later(Delivery.objects.get())
    announce_state()
    Webhook.objects.update(held_until=None)
    assert sending.send_due(str(hook[0].uid)) == 1
    assert Delivery.objects.exclude(pk=first.pk).get().state == State.DELIVERED
    assert Webhook.objects.get().failures == 0


def test_a_worker_that_died_leaves_the_delivery_to_the_next(there: Receiver, hook: tuple[Webhook, str]) -> None:
    announce_state()
    with patch.object(sending, "_exchange", side_effect=SystemExit), pytest.raises(SystemExit):
        sending.send_due(str(hook[0].uid))
    assert sending.send_due(str(hook[0].uid)) == 0  # it may still be on its way
    assert later(Delivery.objects.get()).state == State.DELIVERED


@pytest.mark.parametrize("status", [200, 500])
def test_a_webhook_that_is_deleted_while_it_is_sent_ends_quietly(
    there: Receiver, hook: tuple[Webhook, str], status: int
) -> None:
    announce_state()
    there.answers = [(status, b"")]
    exchange = sending._exchange

    def delete_meanwhile(*about: Any) -> Any:
        answer = exchange(*about)
        Webhook.objects.all().delete()
        return answer

    with patch.object(sending, "_exchange", delete_meanwhile):
        assert sending.send_due(str(hook[0].uid)) == 1
    assert not Webhook.objects.exists() and not Delivery.objects.exists()


def test_a_long_answer_is_cut(there: Receiver, hook: tuple[Webhook, str]) -> None:
    there.answers = [(200, b"x" * 1_000_000)]
    announce_state()
    row = later(Delivery.objects.get())
    assert (row.state, len(row.answer)) == (State.DELIVERED, sending.ANSWER_BYTES)


def test_an_answer_of_bytes_that_are_no_text(there: Receiver, hook: tuple[Webhook, str]) -> None:
    there.answers = [(500, b"\xff\x00\xfe")]
    announce_state()
    assert "\x00" not in later(Delivery.objects.get()).answer


def test_redis_away_loses_nothing(
    hook: tuple[Webhook, str], monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    from kombu.exceptions import OperationalError

    def away(*_a: Any, **_k: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(tasks.send, "apply_async", away)
    with django_capture_on_commit_callbacks(execute=True):
        announce_state()
    assert later(Delivery.objects.get()).state == State.DELIVERED


def test_old_deliveries_are_forgotten(hook: tuple[Webhook, str]) -> None:
    for _number in range(3):
        announce_state()
    first, second, _third = Delivery.objects.order_by("id")
    Delivery.objects.filter(pk__in=[first.pk, second.pk]).update(created_at=timezone.now() - timedelta(days=31))
    Delivery.objects.filter(pk=first.pk).update(state=State.DELIVERED)
    assert sending.forget() == 1
    assert Delivery.objects.filter(pk=second.pk).exists()  # it still waits


# Pages --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def page(client: Client, bob: Any) -> Client:
    client.force_login(bob)
    return client


def test_add_one_and_send_a_test(page: Client, there: Receiver) -> None:
    answer = page.post(reverse("webhooks"), {"address": there.address, "events": ["job.finished"]})
    found = re.search(r'id="secret">([\w-]+)<', answer.content.decode())
    assert found
    assert "no-store" in answer["Cache-Control"]
    hook = Webhook.objects.get()
    assert found[1] not in page.get(hook.get_absolute_url()).content.decode()
    assert "It arrived" in page.post(reverse("webhook_test", args=[hook.uid]), follow=True).content.decode()
    ((headers, body),) = there.got
    assert headers["Editloop-Signature"] == sending.sign(
        found[1], int(headers["Editloop-Signature"][2:].split(",")[0]), body
    )
    assert Delivery.objects.get().state == State.DELIVERED


def test_a_test_that_fails_says_so_and_is_tried_once(page: Client, there: Receiver, hook: tuple[Webhook, str]) -> None:
    there.answers = [(401, b"who are you")]
    answer = page.post(reverse("webhook_test", args=[hook[0].uid]), follow=True)
    assert "who are you" in answer.content.decode()
    assert Delivery.objects.get().state == State.GIVEN_UP
    assert sending.look() == 0


def test_the_form_says_what_is_wrong(page: Client, db: None) -> None:
    answer = page.post(reverse("webhooks"), {"address": "http://127.0.0.1/", "events": ["job.finished"]})
    assert "public internet" in answer.content.decode()
    answer = page.post(reverse("webhooks"), {"address": "http://127.0.0.1/", "events": ["x"], "study": "y"})
    assert answer.status_code == 200
    assert not Webhook.objects.exists()


def test_redeliver_and_switch_off(page: Client, there: Receiver, hook: tuple[Webhook, str]) -> None:
    announce_state()
    row = later(Delivery.objects.get())
    page.post(reverse("webhook_redeliver", args=[row.uid]))
    assert later(row).state == State.DELIVERED
    assert there.got[0][1] == there.got[1][1]  # the same event, byte for byte
    page.post(reverse("webhook_switch", args=[hook[0].uid]))
    assert announce_state() == 0
    answer = page.post(reverse("webhook_redeliver", args=[row.uid]), follow=True)
    assert "switched off" in answer.content.decode()
    page.post(reverse("webhook_switch", args=[hook[0].uid]))
    assert announce_state() == 1
    page.post(reverse("webhook_delete", args=[hook[0].uid]))
    assert not Webhook.objects.exists()


def test_others_webhooks_are_not_there(client: Client, person: Callable[..., Any], hook: tuple[Webhook, str]) -> None:
    client.force_login(person("eve", "engineer"))
    assert hook[0].address not in client.get(reverse("webhooks")).content.decode()
    assert client.get(hook[0].get_absolute_url()).status_code == 404


def test_the_list_of_deliveries_costs_the_same_however_long(page: Client, hook: tuple[Webhook, str]) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            page.get(hook[0].get_absolute_url())
        return len(queries)

    announce_state()
    few = cost()
    for _number in range(60):
        announce_state()
    assert cost() <= few
    assert "after=" in page.get(hook[0].get_absolute_url()).content.decode()
