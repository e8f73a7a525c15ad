"""What a service is sent of a picture file. Pure."""

from __future__ import annotations

import io
from collections import OrderedDict
from pathlib import Path
from threading import Lock

from annotation.importing.images import decode
from annotation.importing.problems import ImportProblem

PREPROCESSING = "view-1024-jpeg90/1"  # name and version of what ``encoded`` does; part of the cache key
SIDE, QUALITY = 1024, 90  # pixels of the longer side at most, and JPEG's quality
SMALL = 256  # up to here a picture is sent exactly
KEPT = 128  # pictures, of which the largest have some 500 KB


class PictureError(Exception):
    """The picture cannot be read; the message is for the user."""


def encoded(path: Path) -> tuple[bytes, str]:
    """The picture without metadata in a format that all services read, and its MIME type: PNG with the very pixels up
    to SMALL, otherwise JPEG, scaled to SIDE. Raises PictureError."""
    try:
        picture = decode(path.read_bytes())
    except FileNotFoundError:
        raise PictureError(f"The picture {path.name} does not exist.") from None
    except OSError as error:
        raise PictureError(f"The picture {path.name} cannot be read: {error.strerror or error}.") from None
    except ImportProblem as problem:
        raise PictureError(f"The picture {path.name} cannot be read: {problem}") from None
    out = io.BytesIO()
    if max(picture.size) <= SMALL:
        picture.save(out, "PNG")
        return out.getvalue(), "image/png"
    picture.thumbnail((SIDE, SIDE))
    picture.save(out, "JPEG", quality=QUALITY)
    return out.getvalue(), "image/jpeg"


class Pictures:
    """``encoded``, with the latest pictures kept: a source is sent with each of its edits. Safe from threads."""

    def __init__(self, most: int = KEPT) -> None:
        self.most = most
        self._kept: OrderedDict[str, tuple[bytes, str]] = OrderedDict()
        self._lock = Lock()

    def get(self, file: str) -> tuple[bytes, str]:
        """Raises PictureError."""
        with self._lock:
            if file in self._kept:
                self._kept.move_to_end(file)
                return self._kept[file]
        picture = encoded(Path(file))
        with self._lock:
            self._kept[file] = picture
            while len(self._kept) > self.most:
                self._kept.popitem(last=False)
        return picture
