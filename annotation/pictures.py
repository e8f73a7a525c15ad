"""Keeping images: an original and a viewing copy under the original's hash, once."""

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from annotation.importing.images import VerifiedImage, ViewCopy, view_copy
from annotation.models import StoredImage


def store(data: bytes, verified: VerifiedImage) -> StoredImage:
    """The stored image with this content, kept now if it is new."""
    known = StoredImage.objects.filter(sha256=verified.sha256).first()
    return known or keep(data, verified, view_copy(data))


def keep(data: bytes, verified: VerifiedImage, view: ViewCopy) -> StoredImage:
    """Keep an image with its viewing copy; files first, the row last, so that a row's files always exist."""
    place = f"{verified.sha256[:2]}/{verified.sha256}"
    image, _created = StoredImage.objects.get_or_create(
        sha256=verified.sha256,
        defaults={
            "original": _save(f"originals/{place}{verified.suffix}", data),
            "view": _save(f"views/{place}.webp", view.data),
            "format": verified.format,
            "size": len(data),
            "width": verified.width,
            "height": verified.height,
            "view_width": view.width,
            "view_height": view.height,
        },
    )
    return image


def _save(name: str, data: bytes) -> str:
    """Write unless a complete file is there: a process that died half way leaves a short one."""
    if default_storage.exists(name):
        if default_storage.size(name) == len(data):
            return name
        default_storage.delete(name)
    return default_storage.save(name, ContentFile(data))
