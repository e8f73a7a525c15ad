"""Writes to endpoints, and what other parts need of them: a client's configuration, a process's environment."""

import struct
import zlib
from collections.abc import Iterable

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from webapp.endpoints.errors import AddressRefused, EndpointError, NoAnswer
from webapp.endpoints.http import IMAGES, Client, EndpointConfig, sendable, to_environment, user_message
from webapp.endpoints.models import Endpoint
from webapp.endpoints.secret import KeyLost, decrypt, encrypt
from webapp.endpoints.transport import Guard, read_url
from webapp.jobs.folder import JobError

TRIAL_SECONDS = 60.0


@transaction.atomic
def save_endpoint(*, endpoint: Endpoint, key: str = "", forget_key: bool = False) -> Endpoint:
    """Keep an endpoint; an empty ``key`` leaves the stored one as it is. Raises ValidationError."""
    endpoint.base_url = endpoint.base_url.strip().rstrip("/")
    endpoint.full_clean()
    _check_address(endpoint.base_url)
    if not sendable(key.strip()):
        raise ValidationError(
            {"key": _("A key has letters, digits and signs of a plain keyboard alone. Copy it again.")}
        )
    if endpoint.has_key and not key and not forget_key and _has_moved(endpoint):
        message = _("The address is another server's now. Enter the key again: a stored key is sent nowhere else.")
        raise ValidationError(message)
    if key or forget_key:
        endpoint.key_encrypted = encrypt(key.strip())
    endpoint.save()
    return endpoint


def _has_moved(endpoint: Endpoint) -> bool:
    """Whether the address names another server than the one for which the key was entered."""
    before = Endpoint.objects.filter(pk=endpoint.pk).values_list("base_url", flat=True).first()
    return before is not None and read_url(before).copy_with(path="/") != read_url(endpoint.base_url).copy_with(
        path="/"
    )


def _check_address(text: str) -> None:
    """Refuse now what every request would be refused for. A name that stands for nothing today may do so tomorrow."""
    try:
        url = read_url(text)
        if url.query or url.fragment:
            raise AddressRefused(_("The base address ends before ? and #."))
        Guard(settings.PRIVATE_ENDPOINTS).addresses(url)
    except NoAnswer:
        pass
    except AddressRefused as error:
        raise ValidationError({"base_url": str(error)}) from None


def delete_endpoint(*, endpoint: Endpoint) -> None:
    endpoint.delete()


def config_of(endpoint: Endpoint) -> EndpointConfig:
    """What a client needs, with the key in clear: never log or store it. Raises KeyLost."""
    return EndpointConfig(
        slug=endpoint.slug,
        kind=endpoint.kind,
        base_url=endpoint.base_url,
        model=endpoint.model,
        key=decrypt(endpoint.key_encrypted),
        concurrency=endpoint.concurrency,
        per_minute=endpoint.per_minute,
        price_input=endpoint.price_input,
        price_output=endpoint.price_output,
        price_image=endpoint.price_image,
        allow_private=settings.PRIVATE_ENDPOINTS,
    )


def environment_for(slugs: Iterable[str]) -> dict[str, str]:
    """The environment that hands these endpoints to a process of a job; empty for none. Raises JobError."""
    wanted = sorted(set(slugs))
    if not wanted:
        return {}
    return to_environment([job_config(slug) for slug in wanted])


def job_config(slug: str) -> EndpointConfig:
    """As config_of, for a job: whatever is wrong becomes the job's words. Raises JobError."""
    endpoint = Endpoint.objects.filter(slug=slug).first()
    if endpoint is None:
        message = _("The endpoint “%(slug)s” does not exist. An admin sets it up on the page Endpoints.")
        raise JobError(message % {"slug": slug})
    try:
        return config_of(endpoint)
    except KeyLost as error:
        raise JobError(_("Endpoint “%(name)s”: %(error)s") % {"name": endpoint.name, "error": error}) from None


def try_out(*, endpoint: Endpoint) -> str:
    """Ask one small question, once, and tell what came: a sentence. Raises ValidationError with the reason."""
    try:
        with Client(config_of(endpoint), tries=1, seconds=TRIAL_SECONDS) as client:
            said = _try_images(client) if endpoint.kind == IMAGES else _try_chat(client)
    except (EndpointError, KeyLost) as error:
        raise ValidationError(str(error)) from None
    used = client.usage.value()
    cost = _("unknown") if used["unpriced"] else f"{used['cost']:g}"
    more = {"seconds": used["slowest_seconds"], "tokens": used["tokens_in"] + used["tokens_out"], "cost": cost}
    return said + " " + _("%(seconds).1f seconds, %(tokens)d tokens, cost: %(cost)s.") % more


def _try_chat(client: Client) -> str:
    answer = client.chat([user_message("Answer with the single word: ready", [(_square(), "image/png")])])
    words = {"model": answer.model, "text": answer.text.strip()[:200]}
    return _("It works. The model %(model)s answers: “%(text)s”.") % words


def _try_images(client: Client) -> str:
    answer = client.edit_image(image=_square(256), prompt="Paint the square blue.")
    words = {"model": answer.model, "size": len(answer.images[0]) // 1024}
    return _("It works. The model %(model)s sent an image of %(size)d KB.") % words


def _square(side: int = 32) -> bytes:
    """A grey PNG: a picture to send, without a picture library in this layer."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\x00" + b"\x90\x90\x90" * side) * side
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
