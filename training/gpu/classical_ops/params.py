"""Reading a case's parameters: they come from a manifest that anyone may have written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


class WrongParams(ValueError):
    """A parameter is missing or does not suit. The message names it and says what it must be."""


def number(params: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    """The number of that name, or ``default``. Raises WrongParams outside ``low`` to ``high``."""
    return checked(params.get(name, default), name, low, high)


def checked(value: object, name: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise WrongParams(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
    if not math.isfinite(value):
        raise WrongParams(f"{name} must be finite")
    return float(value)


def numbers(value: object, name: str, count: int, low: float, high: float) -> list[float]:
    """A list of exactly ``count`` numbers. Raises WrongParams."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != count:
        raise WrongParams(f"{name} must be a list of {count} numbers, not {value!r}")
    return [checked(part, name, low, high) for part in value]


def table(params: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The JSON object of that name. Raises WrongParams where there is none."""
    value = params.get(name)
    if not isinstance(value, Mapping):
        raise WrongParams(f"{name} is missing: it must be a JSON object")
    return value


def choice(params: Mapping[str, Any], name: str, allowed: Mapping[str, Any] | Sequence[str]) -> str:
    """The word of that name. Raises WrongParams where it is none of the allowed ones."""
    value = params.get(name)
    if not isinstance(value, str) or value not in allowed:
        raise WrongParams(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
    return value
