"""The studies that a webhook can be for: known above this layer, so that layer says them."""

from collections.abc import Callable, Sequence
from uuid import UUID

Lister = Callable[[], Sequence[tuple[UUID, str]]]
_listers: list[Lister] = []


def register(lister: Lister) -> None:
    """``lister`` gives (uid, name) of the studies to choose from."""
    _listers[:] = [lister]


def known() -> list[tuple[str, str]]:
    return [(str(uid), name) for lister in _listers for uid, name in lister()]
