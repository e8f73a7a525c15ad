"""Backbones by name: each is a folder beside this file, with ``build`` for a new one and ``load`` for a saved one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.rewards.config import Config

if TYPE_CHECKING:
    from training.gpu.reward.network import Backbone

MODULES = {"drawn": "training.gpu.reward.drawn", "transformers": "training.gpu.reward.vlm"}


class WrongBackbone(Exception):
    """There is no such backbone, or its weights cannot be used. The message is shown to the user."""


def build_backbone(config: Config, dimensions: Sequence[str]) -> Backbone:
    """A backbone to train. Raises WrongBackbone."""
    backbone: Backbone = _module(config.backbone).build(config, tuple(dimensions))
    return backbone


def load_backbone(kind: str, folder: Path, described: Mapping[str, Any], device: str) -> Backbone:
    """The backbone that a checkpoint holds in ``folder``. Raises WrongBackbone."""
    backbone: Backbone = _module(kind).load(folder, described, device)
    return backbone


def _module(kind: str) -> Any:
    if kind not in MODULES:
        raise WrongBackbone(f"There is no backbone {kind!r:.100}, only: {', '.join(MODULES)}.")
    return import_module(MODULES[kind])
