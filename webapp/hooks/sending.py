"""Deliveries on their way: signed, to a checked address, tried again with growing pauses, then given up.

A delivery is a row that waits; a message in Redis only wakes a worker, and the clock wakes one for those whose message
was lost or whose pause is over. A worker claims a delivery by a conditional UPDATE, so two send no message twice; one
that dies in between leaves it to the next after LEASE. So a receiver can see an event twice, and knows it by its id.
"""

import hashlib
import hmac
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

import httpx
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from webapp.endpoints.errors import AddressRefused, EndpointError, NoAnswer
from webapp.endpoints.secret import KeyLost, decrypt
from webapp.endpoints.transport import Answer, Guard, Transport, read_url
from webapp.hooks.models import Delivery, Webhook

PAUSES = (10, 30, 120, 600, 1800, 7200, 21600)  # seconds after the first, second … try that failed
TRIES = len(PAUSES) + 1  # of one delivery: nine hours in all
MOST_FAILURES = 12  # tries in a row, of whatever, until the webhook is switched off: about a day and a half
SECONDS = 10.0  # until an answer must be complete
TURN_SECONDS = 20.0  # that one webhook may keep a worker busy at a time
LEASE = timedelta(seconds=60)
ANSWER_BYTES = 500
KEEP = timedelta(days=30)  # what was delivered or given up is forgotten then
HINT = "Whoever runs the server can allow single private addresses with EDITLOOP_WEBHOOK_HOSTS."


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The value of the header Editloop-Signature: HMAC-SHA256 (RFC 2104) over "timestamp.body"."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def guard_of(url: httpx.URL) -> Guard:
    """Private networks are closed but for the hosts, or host:port, that the setting names."""
    host, port = url.host, url.port or (443 if url.scheme == "https" else 80)
    return Guard(bool({host, f"{host}:{port}"} & set(settings.WEBHOOK_HOSTS)), hint=HINT)


def check_address(text: str) -> None:
    """Refuse now what every delivery would be refused for. A name of nothing today may stand for something tomorrow."""
    try:
        url = read_url(text)
        if url.fragment:
            raise AddressRefused(_("The address ends before #."))
        guard = guard_of(url)
        guard.addresses(url)
        if url.scheme != "https" and not guard.allow_private:
            raise AddressRefused(_("The address must start with https://: on its way nobody else may read an event."))
    except NoAnswer:
        pass
    except AddressRefused as error:
        raise ValidationError({"address": str(error)}) from None


def is_held(hook: Webhook, now: datetime) -> bool:
    return hook.held_until is not None and hook.held_until > now


def wake(hooks: Iterable[UUID]) -> None:
    """Have a worker send what waits. Redis away: the clock does it later."""
    from kombu.exceptions import OperationalError

    from webapp.hooks import tasks

    for uid in hooks:
        try:
            tasks.send.apply_async([str(uid)], retry=False)
        except OperationalError:
            return


def look() -> int:
    """Wake a worker for every webhook with deliveries that are due. Returns how many webhooks."""
    now = timezone.now()
    due = Q(deliveries__state=Delivery.State.WAITING, deliveries__next_at__lte=now)
    free = Q(held_until=None) | Q(held_until__lte=now)
    found = list(Webhook.objects.at_work().filter(due & free).distinct().values_list("uid", flat=True))
    wake(found)
    return len(found)


def forget() -> int:
    """Delete what has been delivered or given up for long."""
    ended = Delivery.objects.exclude(state=Delivery.State.WAITING)
    return ended.filter(created_at__lt=timezone.now() - KEEP).delete()[0]


class _Cut(Transport):
    """Takes the beginning of an answer and leaves the rest unread: what a receiver says is shown, not used."""

    def _read(self, response: httpx.Response, host: str) -> bytes:
        body = bytearray()
        try:
            for piece in response.iter_raw(ANSWER_BYTES):
                body += piece
                if len(body) >= ANSWER_BYTES:
                    break
        except httpx.ReadTimeout:
            pass  # it has said whether it took the event
        return bytes(body[:ANSWER_BYTES])


def line_to(hook: Webhook) -> Transport:
    """Connections to one receiver; the address is resolved and checked for each message anew."""
    return _Cut(guard_of(read_url(hook.address)), seconds=SECONDS, connections=1)


def send_due(uid: str) -> int:
    """Send what is due to one webhook, until nothing is left, one fails, or its turn is over. Returns how many."""
    sent, end = 0, time.monotonic() + TURN_SECONDS
    hook = _free(uid)
    if hook is None:
        return 0
    with line_to(hook) as line:
        while time.monotonic() < end and (hook := _free(uid)) and (delivery := _claim(hook)):
            sent += 1
            if try_once(delivery, line).state != Delivery.State.DELIVERED:
                break
    return sent


def _free(uid: str) -> Webhook | None:
    """The webhook, if it may be sent to now."""
    return Webhook.objects.at_work().filter(Q(held_until=None) | Q(held_until__lte=timezone.now()), uid=uid).first()


def _claim(hook: Webhook) -> Delivery | None:
    """The next delivery that is due, ours for LEASE: one that always fails comes behind those that were not tried."""
    now = timezone.now()
    due = hook.deliveries.filter(state=Delivery.State.WAITING, next_at__lte=now)
    while delivery := due.order_by("tries", "id").first():
        if due.filter(pk=delivery.pk).update(next_at=now + LEASE):
            delivery.webhook = hook
            return delivery
    return None


def try_once(delivery: Delivery, line: Transport) -> Delivery:
    """One exchange with the receiver, and what follows from it."""
    try:
        answer = _exchange(delivery, line)
    except (EndpointError, KeyLost) as error:
        return _note(delivery, None, str(error))
    words = answer.body.decode(errors="replace").replace("\x00", "")
    if 300 <= answer.status < 400:
        words = _("The address leads on to another one. Enter that one: redirects are not followed.")
    return _note(delivery, answer.status, words)


def _exchange(delivery: Delivery, line: Transport) -> Answer:
    hook, body, now = delivery.webhook, delivery.body.encode(), int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Editloop",
        "Editloop-Event": delivery.event,
        "Editloop-Delivery": str(delivery.uid),
        "Editloop-Signature": sign(decrypt(hook.secret_encrypted), now, body),
    }
    return line.exchange("POST", hook.address, headers=headers, content=body)


def _note(delivery: Delivery, status: int | None, words: str) -> Delivery:
    """Keep what came of a try: delivered, to be tried again, or given up."""
    now, good = timezone.now(), status is not None and 200 <= status < 300
    delivery.tries += 1
    delivery.tried_at, delivery.status, delivery.answer = now, status, words[:ANSWER_BYTES]
    if good:
        delivery.state = Delivery.State.DELIVERED
    elif delivery.tries >= TRIES or delivery.state == Delivery.State.GIVEN_UP:
        delivery.state = Delivery.State.GIVEN_UP
    else:
        delivery.next_at = now + timedelta(seconds=PAUSES[delivery.tries - 1])
    kept = ("tries", "tried_at", "status", "answer", "state", "next_at")
    Delivery.objects.filter(pk=delivery.pk).update(**{name: getattr(delivery, name) for name in kept})
    _note_webhook(delivery.webhook, good, now)
    return delivery


def _note_webhook(hook: Webhook, good: bool, now: datetime) -> None:
    """A receiver that is away is asked ever more rarely, with one delivery at a time; in the end it is switched off."""
    row = Webhook.objects.filter(pk=hook.pk)
    if good:
        row.update(failures=0, held_until=None)
        return
    row.update(failures=F("failures") + 1)
    failures = row.values_list("failures", flat=True).first()
    if failures is None:  # deleted while this was under way
        return
    pause = PAUSES[min(failures, len(PAUSES)) - 1]
    row.update(held_until=now + timedelta(seconds=pause))
    if failures >= MOST_FAILURES:
        note = _("Switched off: nothing was taken in %(count)d tries in a row.") % {"count": failures}
        row.update(is_active=False, note=note)
