"""What adapters of diffusers' flow-matching pipelines share: loading, noise, schedule, LoRA off, memory.

A pipeline is loaded into the machine's memory and placed part by part. Its text encoders are needed while cases are
encoded and never again: where the GPU cannot hold them beside training they change places with the transformer.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from PIL import Image
from torch import Tensor, nn

from training.gpu.diffusion import loading
from training.gpu.diffusion.noise import generators
from training.gpu.diffusion.settings import Spec
from training.gpu.diffusion.sizes import on_grid, resized
from training.gpu.editors import CannotEdit, EditCase, EditorError
from training.gpu.posttrain import lora
from training.gpu.posttrain.adapter import Condition
from training.memory import gb
from training.posttraining import costs
from training.posttraining.config import Config

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
TRAIN_STEPS = 1000  # the models are told sigma times this; the pipelines round that product, and so do we


def load_pipeline(
    spec: Spec, settings: Mapping[str, Any], config: Config, changed: loading.Changed | None = None
) -> loading.Loaded:
    """The editor's pipeline in the machine's memory, with the configuration's size and type. Raises EditorError."""
    if settings.get("lora"):
        raise EditorError(
            f"The editor {spec.name} has a LoRA already, and a trained editor keeps one file: its own would be wrong "
            "without the first. Post-train the editor without its LoRA, or save the model with the LoRA merged to a "
            "folder and make an editor of that folder (docs/post-training-models.md)."
        )
    held = {"device": "cpu", "device_map": "none", "offload": "none", "compile": False, "batch": 1}
    loaded = loading.load(spec, {**settings, **held, "dtype": config.dtype, "size": config.size}, changed)
    scheduler = loaded.pipeline.scheduler
    if not isinstance(scheduler, FlowMatchEulerDiscreteScheduler):
        raise EditorError(
            f"{spec.name} samples with {type(scheduler).__name__}; post-training knows FlowMatchEulerDiscreteScheduler."
        )
    return loaded


class PipelineAdapter:
    """The parts of an Adapter that do not depend on the family; ``made_with``: what is recorded of the weights."""

    text_encoders: tuple[str, ...]
    multiple: int  # width and height of the picture in work are multiples of it

    def __init__(self, loaded: loading.Loaded, config: Config, device: torch.device | str) -> None:
        self.pipeline = loaded.pipeline
        self.transformer: nn.Module = self.pipeline.transformer
        self.settings, self.made_with = loaded.settings, loaded.recorded
        self.config, self.device = config, torch.device(device)
        self.dtype = loading.DTYPES[config.dtype]
        self.grid: int = self.pipeline.vae_scale_factor * 2
        for part in self._parts().values():
            part.requires_grad_(False).eval()
        if config.checkpointing:
            self.pipeline.transformer.enable_gradient_checkpointing()
        self.roomy = self._has_room(loaded)
        self._place()

    # ---- memory

    def _parts(self) -> dict[str, nn.Module]:
        return {name: part for name, part in self.pipeline.components.items() if isinstance(part, nn.Module)}

    def _has_room(self, loaded: loading.Loaded) -> bool:
        """Whether text encoders can stay on the GPU. Raises EditorError where training does not fit without them."""
        if self.device.type != "cuda":
            return True
        counts = {name: sum(p.numel() for p in part.parameters()) for name, part in self._parts().items()}
        free: int = torch.cuda.mem_get_info(self.device)[0]
        needed = costs.memory(loaded.spec.numbers, self.config, parameters=counts)
        if needed.slim > free:
            advice = costs.advice(loaded.spec.numbers, self.config, free, parameters=counts)
            raise EditorError(
                f"Post-training {loaded.spec.numbers.title} needs about {gb(needed.slim)} GB of GPU memory "
                f"({needed.words}), and {gb(free)} GB are free: {advice}"
            )
        return needed.total <= free

    def _place(self, encoding: bool = False) -> None:
        """Every part where it belongs now. Parts that leave go first."""
        away = () if self.roomy else ("transformer",) if encoding else self.text_encoders
        parts = self._parts()
        for name in away:
            if name in parts:
                parts[name].to("cpu")
        if away and self.device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()
        for name, part in parts.items():
            if name not in away:
                part.to(self.device)

    @contextmanager
    def _encoding(self) -> Iterator[None]:
        if not self.roomy:
            self._place(encoding=True)
        try:
            with torch.no_grad():
                yield
        finally:
            if not self.roomy:
                self._place()

    # ---- the protocol's common half

    def encode(self, cases: Sequence[EditCase]) -> list[Condition]:
        """One condition a case, each encoded alone, so that none depends on the others. Raises CannotEdit."""
        for case in cases:
            if not case.instruction.strip():
                raise CannotEdit(f"The case {case.key} has no instruction, and this editor edits by instruction.")
        with self._encoding():
            return [self.encode_one(case, self.size_of(case)) for case in cases]

    def encode_one(self, case: EditCase, size: tuple[int, int]) -> Condition:
        raise NotImplementedError

    def size_of(self, case: EditCase) -> tuple[int, int]:
        """Width and height of the picture in work."""
        return on_grid(self.config.size**2, case.source.width / case.source.height, self.multiple)

    def noise(self, condition: Condition, seeds: Sequence[int]) -> Tensor:
        """As the pipeline draws it: one generator a seed, in the weights' own type, whose rounding it keeps."""
        width, height = (2 * (side // self.grid) for side in condition.told["size"])
        shape = (1, self.channels, height, width)
        drawn = torch.cat([torch.randn(shape, generator=one, dtype=self.dtype) for one in generators(seeds)])
        return self.pack(drawn).to(self.device)

    def sigmas(self, condition: Condition, steps: int) -> Tensor:
        """By the pipeline's scheduler: where it shifts by size, the shift is of the picture's own tokens."""
        width, height = condition.told["size"]
        scheduler = self.pipeline.scheduler
        own: Any = type(scheduler).from_config(scheduler.config)  # so that the pipeline's is not moved
        mu = shift((width // self.grid) * (height // self.grid), own.config)
        own.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=mu, device="cpu")
        found: Tensor = own.sigmas
        return found.float()

    def velocity(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """The transformer works in the weights' type; what goes in and comes out is float32."""
        if len({condition.shape for condition in conditions}) != 1 or len(conditions) != len(x):
            raise ValueError("A forward pass takes one condition a sample, all of one shape.")
        told = {
            name: torch.stack([condition.tensors[name] for condition in conditions]).to(self.device)
            for name in conditions[0].tensors
        }
        time = (sigma.to(self.device, torch.float32) * TRAIN_STEPS).to(self.dtype) / TRAIN_STEPS
        seen = torch.cat([x.to(self.device, self.dtype), told["source"]], dim=1)
        found: Tensor = self.transformer(
            hidden_states=seen, timestep=time.expand(len(x)), return_dict=False, **self.words(told, conditions)
        )[0]
        return found[:, : x.shape[1]].float()

    def words(self, told: Mapping[str, Tensor], conditions: Sequence[Condition]) -> dict[str, Any]:
        """The family's own arguments of the transformer."""
        raise NotImplementedError

    def decode(self, x: Tensor, conditions: Sequence[Condition]) -> list[Image.Image]:
        """As the pipeline does it, in the weights' type; the VAE takes one picture at a time."""
        width, height = conditions[0].told["size"]
        with torch.no_grad():
            unpacked = self.pipeline._unpack_latents(
                x.to(self.device, torch.float32), height, width, self.pipeline.vae_scale_factor
            )
            made = self.pipeline.image_processor.postprocess(self.vae_decode(unpacked), output_type="pil")
        return [
            resized(picture, condition.told["source_size"]) for picture, condition in zip(made, conditions, strict=True)
        ]

    def vae_decode(self, latents: Tensor) -> Tensor:
        raise NotImplementedError

    def latents(self, pictures: Sequence[Image.Image], conditions: Sequence[Condition]) -> Tensor:
        """The VAE's mode, without its noise."""
        with torch.no_grad():
            found = [
                self.vae_encode(resized(picture, condition.told["size"]))
                for picture, condition in zip(pictures, conditions, strict=True)
            ]
        return torch.cat(found).float()

    def vae_encode(self, picture: Image.Image) -> Tensor:
        """Packed latents [1, tokens, channels] of a picture that has its size already."""
        raise NotImplementedError

    def quick(self) -> AbstractContextManager[None]:
        return nullcontext()  # folding would round the LoRA to the weights' type, and take their memory twice

    def base(self) -> AbstractContextManager[None]:
        return lora.without(self.pipeline.transformer)

    # ---- layout

    @property
    def channels(self) -> int:
        return int(self.pipeline.transformer.config.in_channels) // 4

    def pack(self, latents: Tensor) -> Tensor:
        """[samples, channels, height, width] to float32 tokens."""
        samples, channels, height, width = latents.shape
        packed: Tensor = self.pipeline._pack_latents(latents, samples, channels, height, width)
        return packed.float()

    def told(self, case: EditCase, size: tuple[int, int]) -> dict[str, Any]:
        return {"size": size, "source_size": case.source.size}


def shift(tokens: int, config: Mapping[str, Any]) -> float:
    """mu of the schedule's shift: on the line through two numbers of tokens (Esser et al. 2024, as FLUX uses it)."""
    low, high = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    least, most = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    slope = (most - least) / (high - low)
    return float(tokens * slope + (least - slope * low))


def layers(transformer: nn.Module, names: Sequence[str], left_out: Sequence[str] = ()) -> list[str]:
    """The linear layers whose names in their block are among ``names``, in the model's order."""
    found = []
    for name, module in transformer.named_modules():
        _, _, inner = name.partition("transformer_blocks.")
        inside = inner.partition(".")[2].removesuffix(".base_layer")
        plain = name.removesuffix(".base_layer")
        if isinstance(module, nn.Linear) and inside in names and plain not in left_out:
            found.append(plain)
    return found
