"""The backbone: groups in, hidden states at the reward tokens out, one pass for all candidates of a batch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from training.gpu.editors import CannotEdit
from training.gpu.reward.network import Backbone, Example, Prepared
from training.gpu.reward.vlm.families import Family, Pictures
from training.gpu.reward.vlm.features import FeatureCache, digest
from training.gpu.reward.vlm.packing import PADDING, additive_mask, pack
from training.gpu.reward.vlm.template import Span, spans
from training.rewards.config import Config

SHRUNK = "pillow-thumbnail/1"  # name and version of how a picture comes to ``max_side``
ADAPTER = "adapter.safetensors"
IN_ADAPTER, IN_ALL = "adapter", "all"
REFUSED = (ValueError, TypeError, IndexError, ZeroDivisionError)


@dataclass(frozen=True, slots=True)
class Told:
    """What a checkpoint says of its backbone, all of it needed to make the same scores again.

    ``weights``: "adapter" are LoRA's and the new tokens', on the model of that name and ``fingerprint``; "all" is a
    model of its own. ``stored``: the type of the model's own numbers; ``dtype``: what it computes in.
    """

    model: str
    revision: str
    fingerprint: str
    family: str
    weights: str
    dimensions: tuple[str, ...]
    tokens: tuple[str, ...]
    level_words: tuple[str, ...]
    rubric: str
    prefix: str
    suffix: str
    max_side: int
    shrunk: str
    images: Mapping[str, Any]
    dtype: str
    stored: str
    lora_rank: int
    lora_alpha: int
    train_vision: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """b groups with n candidates and p pictures in all. ``ids``, ``segment`` (b, longest), ``positions`` (3, b,
    longest), ``row`` (n, 1), ``places`` (n, dimensions), ``shapes`` (p, 3), ``keys``: the pictures' digests."""

    ids: Tensor
    segment: Tensor
    positions: Tensor
    row: Tensor
    places: Tensor
    pictures: Pictures
    keys: tuple[bytes, ...]


class TransformersBackbone(Backbone):
    """``model``: one of transformers, or the same with LoRA by peft; its tokenizer knows the reward tokens already.
    ``rewards``, ``levels``: the numbers of those tokens, and of the five levels' words."""

    kind = "transformers"

    def __init__(
        self, model: Any, family: Family, told: Told, *, rewards: tuple[int, ...], levels: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.model, self.family, self.told = model, family, told
        self.dimensions, self.rewards, self.level_tokens = told.dimensions, rewards, levels
        self.cache: FeatureCache | None = None
        self.width = int(self.core.config.get_text_config().hidden_size)
        self.preprocessing = json.dumps([told.shrunk, told.max_side, told.images], sort_keys=True, default=str)
        self.train()

    @property
    def core(self) -> Any:
        """The model of transformers, whether peft is around it or not."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        dtype: torch.dtype = getattr(torch, self.told.dtype)
        return dtype

    def train(self, mode: bool = True) -> TransformersBackbone:
        """A frozen tower stays as it is for scoring: what is cached must be what it would make again."""
        super().train(mode)
        if not self.told.train_vision:
            for part in vision_parts(self.core, self.family):
                part.eval()
        return self

    def configure(self, config: Config) -> None:
        """How training is carried out: checkpointing and cached features cost or save time, and change no score."""
        if config.checkpointing:
            self.core.activation_checkpointing_enable({"use_reentrant": False})
        self.cache = FeatureCache() if config.cache_features and not self.told.train_vision else None

    # A group as tensors ----------------------------------------------------------------------------------------------

    def prepare(self, example: Example) -> Prepared:
        if not example.candidates:
            raise CannotEdit(f"The group {example.key} has no candidate.")
        shown = [self._shown(one) for one in (example.source, *example.candidates)]
        pictures = self._pictures(example.key, shown)
        tokenizer, told = self.family.processor.tokenizer, self.told
        places = [self.family.spans(shape) for shape in pictures.shapes.tolist()]
        slots = {"rubric": told.rubric, "instruction": example.instruction}
        rewards = [Span(self.rewards)]
        packed = pack(
            spans(tokenizer, told.prefix, {**slots, "picture": places[0]}),
            [spans(tokenizer, told.suffix, {"picture": place, "rewards": rewards}) for place in places[1:]],
            self.rewards,
        )
        keys = b"".join(digest(one, self.preprocessing) for one in shown)
        tensors = {
            "ids": packed.ids,
            "positions": packed.positions,
            "segment": packed.segment,
            "places": packed.places,
            "pixels": pictures.pixels,
            "shapes": pictures.shapes,
            "keys": torch.frombuffer(bytearray(keys), dtype=torch.uint8).reshape(len(shown), -1),
        }
        return Prepared(example.key, tensors, len(packed.ids), len(example.candidates))

    def _shown(self, picture: Image.Image) -> Image.Image:
        shown = picture.convert("RGB")
        shown = shown.copy() if shown is picture else shown
        shown.thumbnail((self.told.max_side, self.told.max_side))
        return shown

    def _pictures(self, key: str, shown: Sequence[Image.Image]) -> Pictures:
        try:
            return self.family.pictures(shown)
        except REFUSED as error:
            raise CannotEdit(f"The model's image processor refuses a picture of {key}: {error!s:.200}.") from error

    def collate(self, rows: Sequence[Prepared]) -> Batch:
        device = next(self.parameters()).device

        def padded(name: str, value: int) -> Tensor:
            values = [row.tensors[name].movedim(0, -1) for row in rows]
            return pad_sequence(values, batch_first=True, padding_value=value).to(device)

        row = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor([one.count for one in rows]))
        pixels = torch.cat([one.tensors["pixels"] for one in rows])
        return Batch(
            padded("ids", self.rewards[0]),  # any token that is no picture's
            padded("segment", PADDING),
            padded("positions", 0).movedim(-1, 0),
            row[:, None].to(device),
            torch.cat([one.tensors["places"] for one in rows]).to(device),
            Pictures(pixels, torch.cat([one.tensors["shapes"] for one in rows])),
            tuple(bytes(key) for one in rows for key in one.tensors["keys"].tolist()),
        )

    # The pass --------------------------------------------------------------------------------------------------------

    def forward(self, batch: Batch) -> Tensor:
        with self._autocast(batch.ids.device):
            features = self._features(batch)
            mask = additive_mask(batch.segment, self.dtype)
            made = self.core.model(
                input_ids=batch.ids,
                attention_mask=mask,
                position_ids=batch.positions if self.family.axes == 3 else batch.positions[0],
                mm_encoder_outputs={"image": self.family.outputs(features)},
                use_cache=False,
            )
        hidden: Tensor = made.last_hidden_state[batch.row, batch.places]
        return hidden.float()

    def _autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """Numbers that are trained stay fp32, whatever is computed in."""
        return nullcontext() if self.dtype == torch.float32 else torch.autocast(device.type, dtype=self.dtype)

    def _features(self, batch: Batch) -> list[Tensor]:
        """The features of each picture. A frozen tower keeps nothing for a way back."""
        device, shapes = batch.ids.device, batch.pictures.shapes
        if self.told.train_vision:
            return self.family.encode(self.core, batch.pictures.pixels.to(device), shapes.to(device))
        with torch.no_grad():
            return self._frozen(batch, device)

    def _frozen(self, batch: Batch, device: torch.device) -> list[Tensor]:
        found = [self.cache.get(key) if self.cache is not None else None for key in batch.keys]
        missing = [place for place, features in enumerate(found) if features is None]
        if missing:
            shapes = batch.pictures.shapes
            pixels = batch.pictures.pixels.split([self.family.rows(shape) for shape in shapes.tolist()])
            made = self.family.encode(
                self.core, torch.cat([pixels[place] for place in missing]).to(device), shapes[missing].to(device)
            )
            for place, features in zip(missing, made, strict=True):
                found[place] = features
                if self.cache is not None:
                    self.cache.put(batch.keys[place], features)
        return [features.to(device) for features in found if features is not None]

    def levels(self, hidden: Tensor) -> Tensor:
        """By the model's own language head, at the words bad, poor, fair, good and excellent."""
        head = self.core.get_output_embeddings()
        rows = getattr(head, "original_module", head).weight[list(self.level_tokens)]
        with torch.autocast(hidden.device.type, enabled=False):
            return hidden.float() @ rows.float().T

    # On disk ---------------------------------------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        return as_json(asdict(self.told))

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if self.told.weights == IN_ADAPTER:
            trained = {name: value.detach().cpu().contiguous() for name, value in self.trained().items()}
            save_file(trained, folder / ADAPTER)
            return
        self.core.save_pretrained(folder, safe_serialization=True)
        save_processor(self.family, folder)

    def trained(self) -> dict[str, nn.Parameter]:
        return {name: value for name, value in self.model.named_parameters() if value.requires_grad}

    def merge(self) -> None:
        """LoRA and the new tokens become part of the weights, which stay as they score. A model without LoRA is left
        as it is. In bfloat16 the sum is rounded."""
        if self.told.weights != IN_ADAPTER:
            return
        values = {**asdict(self.told), "weights": IN_ALL, "lora_rank": 0}
        self.model, self.told = self.model.merge_and_unload(), Told(**values)


def save_processor(family: Family, folder: Path) -> None:
    family.processor.save_pretrained(folder)
    file = folder / "processor_config.json"
    written = json.loads(file.read_text()) if file.exists() else {}
    own = {name: getattr(family.processor, name) for name in family.settings}
    file.write_text(json.dumps({**written, **own}, indent=2))


def as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they come back from a file: a tuple is a list there."""
    read: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return read


def vision_parts(core: Any, family: Family) -> list[Any]:
    return [getattr(core.model, name) for name in family.vision]
