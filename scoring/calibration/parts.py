"""The split of a calibration by source image. Pure.

A prompt is written against the dev part and accepted on the held-out part, which it never saw. All edits of one source
picture are in one part: judgements of the same picture resemble each other.
"""

from __future__ import annotations

import hashlib

DEV, HELD_OUT = "dev", "held"


def is_held_out(seed: int, source: str, share: float) -> bool:
    """Whether the source image (its SHA-256) is held out. It depends on the image and the seed alone, so a picture that
    is rated later has its part already, and copies of a data set agree."""
    digest = hashlib.sha256(f"{seed}/{source}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
