"""What can go wrong between us and an endpoint, each with a sentence for the user. Pure: no Django, no torch.

``kind`` is the word under which failures are counted. ``fatal``: the next request would fail in the same way, so a job
stops. ``retry``: the same request may succeed a moment later.
"""

from __future__ import annotations

from typing import ClassVar


class EndpointError(Exception):
    kind: ClassVar[str] = "error"
    fatal: ClassVar[bool] = False
    retry: bool = False
    # What the service bills for an answer that is no use; ``cost`` None: not known.
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = 0.0

    def __init__(self, sentence: str, *, after: float | None = None) -> None:
        """``after``: seconds to wait before the next try, as the service asks."""
        super().__init__(sentence)
        self.after = after


class NotConfigured(EndpointError):
    """There is no such endpoint, or it is of another kind."""

    kind, fatal = "setting", True


class AddressRefused(EndpointError):
    """The address is none that we may connect to: see transport.py."""

    kind, fatal = "address", True


class WrongKey(EndpointError):
    kind, fatal = "key", True


class NoSuchModel(EndpointError):
    kind, fatal = "model", True


class OverQuota(EndpointError):
    """Too many requests, or the account is used up. ``retry`` tells the two apart."""

    kind, fatal = "quota", True

    def __init__(self, sentence: str, *, after: float | None = None, retry: bool = False) -> None:
        super().__init__(sentence, after=after)
        self.retry = retry


class Refused(EndpointError):
    """The service will not do this for reasons of its content rules."""

    kind = "refused"


class BadRequest(EndpointError):
    """The service understood us and says that the request is wrong."""

    kind = "request"


class ServerTrouble(EndpointError):
    kind, retry = "server", True


class NoAnswer(EndpointError):
    """No connection, or no answer in time."""

    kind, retry = "no answer", True


class NotReached(NoAnswer):
    """The name stands for no address, or nothing takes a connection there: nothing was sent."""


class BadAnswer(EndpointError):
    """An answer that is not what OpenAI-compatible services send, or too large."""

    kind = "answer"
