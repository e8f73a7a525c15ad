"""Writes to webhooks: announce an event, make and change a webhook. What is sent is sending.py's business."""

import json
import secrets
import time
from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID, uuid4, uuid5

from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from webapp.accounts.models import User
from webapp.endpoints.secret import encrypt
from webapp.hooks import sending
from webapp.hooks.events import EVENTS, PING
from webapp.hooks.models import Delivery, Webhook

QUIET_SECONDS = 5.0  # for so long this process takes it that there is no webhook at all, once it saw none
MOST_WEBHOOKS = 50
NAMESPACE = UUID("5d2f6a3e-7a0e-4a4e-9a53-5e1c6a6f2b11")


class Scope(Protocol):
    """A study, as far as this layer knows one."""

    uid: UUID
    name: str

    @property
    def notice(self) -> str: ...


class _Quiet:
    """When to look again whether there is any webhook. A judgement must not cost a query for a feature not in use."""

    until = 0.0


def wake() -> None:
    """Look again at once: something changed in this process. Others see it within QUIET_SECONDS."""
    _Quiet.until = 0.0


def is_quiet() -> bool:
    """Whether there was no webhook a moment ago: whoever would ask the database for what to say need not."""
    return time.monotonic() < _Quiet.until


def announce(event: str, payload: dict[str, Any], *, study: Scope | None = None, key: str = "") -> int:
    """Write a delivery for each webhook that wants this event, in the caller's transaction, and send on commit.

    ``study``: whose event it is; webhooks of one study hear of no other. ``key``: the same event with the same key is
    sent once, however often it is announced. Returns how many deliveries were written, and does nothing for none.
    """
    if event not in EVENTS:
        raise ValueError(f"There is no event {event!r}: see webapp/hooks/events.py.")
    if is_quiet():
        return 0
    hooks = list(Webhook.objects.at_work())
    if not hooks:
        _Quiet.until = time.monotonic() + QUIET_SECONDS
        return 0
    wanted = [hook for hook in hooks if event in hook.events and _is_for(hook, study)]
    if wanted:
        write(wanted, event, payload, study=study, event_id=uuid5(NAMESPACE, f"{event}:{key}") if key else uuid4())
    return len(wanted)


def _is_for(hook: Webhook, study: Scope | None) -> bool:
    return hook.study_uid is None or (study is not None and hook.study_uid == study.uid)


def write(
    hooks: Sequence[Webhook], event: str, payload: dict[str, Any], *, study: Scope | None = None, event_id: UUID
) -> None:
    """The deliveries of one event, each the same text; sent once the transaction is committed."""
    now = timezone.now()
    body = _body(event, payload, study, event_id)
    rows = [Delivery(webhook=hook, event=event, event_id=event_id, body=body, next_at=now) for hook in hooks]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    free = [hook.uid for hook in hooks if not sending.is_held(hook, now)]
    transaction.on_commit(lambda: sending.wake(free))


def _body(event: str, payload: dict[str, Any], study: Scope | None, event_id: UUID) -> str:
    value = {"id": event_id, "event": event, "at": timezone.now(), "study": _about(study), "data": payload}
    return json.dumps(value, cls=DjangoJSONEncoder, allow_nan=False)


def _about(study: Scope | None) -> dict[str, Any] | None:
    """``notice``: what must be said of the study's judgements, such as that they are simulated."""
    return {"uid": study.uid, "name": study.name, "notice": study.notice} if study else None


def add_webhook(*, address: str, events: Sequence[str], study_uid: UUID | None, by: User) -> tuple[Webhook, str]:
    """A new webhook and its secret, which is shown once. Raises ValidationError."""
    if Webhook.objects.count() >= MOST_WEBHOOKS:
        raise ValidationError(_("There are %(most)d webhooks already. Delete one first.") % {"most": MOST_WEBHOOKS})
    secret = secrets.token_urlsafe(32)
    hook = Webhook(
        address=address.strip(),
        events=_known(events),
        study_uid=study_uid,
        secret_encrypted=encrypt(secret),
        created_by=by,
    )
    hook.full_clean()
    sending.check_address(hook.address)
    hook.save()
    wake()
    return hook, secret


def _known(events: Sequence[str]) -> list[str]:
    if not events or not set(events) <= EVENTS.keys():
        raise ValidationError({"events": _("Choose at least one event from the list.")})
    return [event for event in EVENTS if event in events]


def switch(*, hook: Webhook, on: bool) -> Webhook:
    """Switch on or off. What waits stays, and is sent when it is on again. Raises ValidationError."""
    if on:
        sending.check_address(hook.address)
    hook.is_active, hook.failures, hook.held_until, hook.note = on, 0, None, ""
    hook.save(update_fields=["is_active", "failures", "held_until", "note"])
    wake()
    if on:
        transaction.on_commit(lambda: sending.wake([hook.uid]))
    return hook


def delete_webhook(*, hook: Webhook) -> None:
    hook.delete()
    wake()


def send_test(*, hook: Webhook) -> Delivery:
    """Send one message now, whatever waits, and tell what came of it. It is tried once, so no worker looks for it."""
    event_id = uuid4()
    words = {"message": _("A test that somebody asked for on the page of this webhook.")}
    row = Delivery(webhook=hook, event=PING, event_id=event_id, next_at=timezone.now(), state=Delivery.State.GIVEN_UP)
    row.body = _body(PING, words, None, event_id)
    row.save()
    with sending.line_to(hook) as line:
        return sending.try_once(row, line)


@transaction.atomic
def redeliver(*, delivery: Delivery) -> Delivery:
    """Send it once more, with all tries before it. A receiver knows the same event by its id."""
    hook = delivery.webhook
    if not hook.is_active:
        raise ValidationError(_("This webhook is switched off. Switch it on first."))
    delivery.state, delivery.tries, delivery.next_at = Delivery.State.WAITING, 0, timezone.now()
    delivery.save(update_fields=["state", "tries", "next_at"])
    Webhook.objects.filter(pk=hook.pk).update(held_until=None)
    transaction.on_commit(lambda: sending.wake([hook.uid]))
    return delivery
