"""Backends of judges: one value each, registered by the part of the product that has it, like kinds of jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Identity:
    """What of a judge its answers depend on, for the cache key: see judging.contract.cache_key."""

    provider: str
    model: str
    preprocessing: str
    settings: Mapping[str, Any]


def _no_endpoints(_settings: Settings) -> list[str]:
    return []


@dataclass(frozen=True)
class Backend:
    """A kind of judge.

    ``form`` asks for its settings; the cleaned data that are not empty are kept as the judge's settings. ``identity``
    raises ValidationError where the judge cannot be asked now (its endpoint is gone). ``endpoints`` names the endpoints
    that a job needs. ``priced(settings)``: whether costs are known, so that a spending limit can be kept.
    ``program(settings)`` is what the judge's program is told: the settings, and where on this machine they lead.
    ``inherits(settings)``: what is to be said of the judge besides the ``notice`` of its kind.
    """

    kind: str
    label: str | StrPromise
    explanation: str | StrPromise
    queue: str
    form: type[forms.Form]
    identity: Callable[[Settings], Identity]
    endpoints: Callable[[Settings], list[str]] = _no_endpoints
    priced: Callable[[Settings], bool] = lambda _settings: True
    notice: str | StrPromise = ""
    program: Callable[[Settings], Settings] = lambda settings: settings
    inherits: Callable[[Settings], str] = lambda _settings: ""


_backends: dict[str, Backend] = {}


def register(backend: Backend) -> None:
    _backends[backend.kind] = backend


def backends() -> list[Backend]:
    return list(_backends.values())


def backend(kind: str) -> Backend | None:
    return _backends.get(kind)
