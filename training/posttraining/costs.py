"""What a post-training run will cost: images and forward passes a round, memory, seconds where they are known. Pure.

A pass is one sample once through the transformer. A step backward counts as two passes, and as three with
checkpointing, which computes each block again.

    weights       parameters x bytes a number; text encoders can leave after encoding ("slim")
    LoRA          rank x (inputs + outputs) of its layers, in float32: the weights, their gradient, Adam's two moments,
                  and a copy each for averaged and for older weights
    activations   batch x tokens x width: with checkpointing the input of every block and all of one block, without it
                  all of every block; and once more all of one block, for the gradients on their way

KEPT is what one block keeps for the way back, in numbers a token and channel: counted on the CPU with torch's hooks for
saved tensors, on blocks of the same classes with a float32 LoRA (tests/gpu/posttrain/test_costs.py counts again). What
the libraries hold beside it has not been measured on a GPU: `make bench ARGS=posttraining_gpu` prints estimate and peak
side by side. 1 GB is 10⁹ bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from training.memory import BYTES, FAMILIES, PER_PIXEL, RESERVE, Family, gb, tokens
from training.posttraining.config import DPO, GRPO, NFT, SAMPLED, SFT, Config

DRAWN = "drawn"
MODULES: Mapping[str, str] = {
    "flux_kontext": "flux-kontext",
    "qwen_image_edit": "qwen-image-edit",
    "qwen_image_edit_plus": "qwen-image-edit-plus",
}
TEXT = ("text_encoder", "text_encoder_2")
BLOCKS: Mapping[str, int] = {"FLUX.1 Kontext": 57, "Qwen-Image-Edit": 60, "Qwen-Image-Edit-2509": 60}
ALL_LAYERS: Mapping[str, float] = {"FLUX.1 Kontext": 2.5, "Qwen-Image-Edit": 2.25, "Qwen-Image-Edit-2509": 2.25}
KEPT: Mapping[tuple[str, str], int] = {  # a LoRA in float32 keeps its own copy of a bfloat16 input
    ("attention", "bfloat16"): 25,
    ("attention", "float32"): 15,
    ("all", "bfloat16"): 35,
    ("all", "float32"): 20,
}
FLOPS = 4e14  # a second: about what a GPU such as the H100 keeps up in bfloat16; not measured here
DRAWN_PASS = 0.0033  # seconds of one pass of the CPU editor on one core of two


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on the device by component; ``slim``: without text encoders."""

    parts: Mapping[str, int]
    text: int

    @property
    def total(self) -> int:
        return sum(self.parts.values()) + self.text

    @property
    def slim(self) -> int:
        return sum(self.parts.values())

    @property
    def words(self) -> str:
        return ", ".join(f"{name} {gb(value)}" for name, value in self.parts.items() if value)


@dataclass(frozen=True, slots=True)
class Estimate:
    """``images`` and ``passes`` a round; ``memory``: bytes on the GPU at least, with text encoders away while training;
    ``seconds`` a round on this machine, ``run_seconds`` of all rounds and looks; None where it is not known."""

    images: int
    passes: int
    memory: int | None
    seconds: float | None
    run_seconds: float | None
    words: str


def estimate(module: str, config: Config, weights: int | None = None, *, cases: int = 0) -> Estimate:
    """The cost of a run of that editor module. ``weights``: bytes of the whole model in the run's type, where its
    folder is known; ``cases``: of the training part, for runs that sample all of them first. Raises ValueError for an
    editor that cannot be post-trained."""
    images, passes = images_a_round(config), passes_a_round(config)
    before = before_training(config, cases)
    looks = 2 + config.rounds // config.look_every  # the base, every so many rounds, the end
    whole = config.rounds * passes + before + looks * config.look_cases * config.look_steps
    if module == DRAWN:
        seconds = passes * DRAWN_PASS
        words = f"{images} images and {passes} passes a round, {_time(seconds)} a round on one core."
        return Estimate(images, passes, None, seconds, whole * DRAWN_PASS, words)
    if module not in MODULES:
        raise ValueError(f"no post-training of the editor {module}")
    family = FAMILIES[MODULES[module]]
    needed = memory(family, config, parameters=_scaled(family, config, weights))
    work = 2 * family.parameters["transformer"] * tokens(family, config.size)
    words = (
        f"{images} images and {passes} passes a round. {gb(needed.slim)} GB of GPU memory ({needed.words}); the text "
        f"encoders stay there where it has {gb(needed.text)} GB more, else they leave after encoding. About "
        f"{_time(passes * work / FLOPS)} a round on a GPU that keeps up {FLOPS / 1e12:.0f} TFLOP a second: reckoned "
        "from the model's size, not measured."
    )
    return Estimate(images, passes, needed.slim, None, None, words)


def images_a_round(config: Config) -> int:
    """Images that a round makes; offline objectives make theirs before training."""
    return config.groups * config.group if config.is_online else 0


def sampling_passes(config: Config) -> int:
    """Of one round. A group that begins from one noise is one path up to its first random step, which lies in the
    ``window_share`` of the steps after ``window_from``: on average in the middle of it."""
    whole = images_a_round(config) * config.steps
    if config.objective != GRPO or not config.shared_noise or not config.window:
        return whole
    together = round(config.window_from * config.steps) + (max(1, round(config.window_share * config.steps)) + 1) / 2
    return round(whole - config.groups * (config.group - 1) * together)


def trained_steps(config: Config) -> int:
    """Noise levels at which a round learns from each of its samples."""
    if config.objective == GRPO:
        return config.window or config.steps - 1  # the last step is never trained
    return config.times


def passes_a_round(config: Config) -> int:
    """Passes of sampling and of all updates of one round. Every sample is in one of the round's updates."""
    back = 4 if config.checkpointing else 3
    if config.objective == DPO:
        return 2 * config.examples * (back + 1)  # a pair, by the trained model and by the base
    if config.objective == SFT:
        return config.examples * back
    beside = bool(config.kl) + (config.objective != GRPO)  # the base's velocity, the older weights' velocity
    trained = images_a_round(config) * trained_steps(config)
    if config.objective == GRPO and config.shared_noise and config.window:
        trained -= config.groups * (config.group - 1)  # the first random step is one for the group
    return sampling_passes(config) + trained * (back + beside)


def before_training(config: Config, cases: int) -> int:
    """Passes before the first round, where the objective learns from the editor's own samples."""
    sampled = not config.is_online and config.data == SAMPLED
    return cases * config.samples * config.steps if sampled else 0


def memory(family: Family, config: Config, *, parameters: Mapping[str, int] | None = None) -> Memory:
    """Bytes that training needs; ``parameters`` by component where they are not the published ones."""
    counts, number = parameters or family.parameters, BYTES[config.dtype]
    kept, blocks = KEPT[config.lora_targets, config.dtype], BLOCKS[family.title]
    token = config.batch * tokens(family, config.size) * family.width
    lora = config.lora_rank * family.lora * (ALL_LAYERS[family.title] if config.lora_targets == "all" else 1)
    copies = 4 + bool(config.ema) + (config.objective == NFT)
    parts = {
        "weights": sum(count for name, count in counts.items() if name not in TEXT) * number,
        "LoRA": int(lora * 4 * copies),
        "activations": token * number * (kept + (blocks + kept if config.checkpointing else blocks * kept)),
        "decoding": family.decoded * config.size**2 * PER_PIXEL * number,
        "reserve": RESERVE,
    }
    return Memory(parts, sum(counts.get(name, 0) for name in TEXT) * number)


def memory_table() -> str:
    """The table of docs/post-training-models.md, in GB: rank 32 on attention, bfloat16."""
    lines = [
        "| editor | size | batch 1 | batch 4 | batch 8 | batch 1, no checkpointing | text encoders more |",
        "|---|---|---|---|---|---|---|",
    ]
    plain = Config(lora_rank=32, lora_targets="attention", dtype="bfloat16", objective=GRPO, ema=0.0)
    for key in MODULES.values():
        family = FAMILIES[key]
        for size in (384, 512, 768, 1024):
            held = [(1, True), (4, True), (8, True), (1, False)]
            made = [memory(family, replace(plain, size=size, batch=b, checkpointing=c)) for b, c in held]
            cells = [family.title, str(size), *(gb(one.slim) for one in made), gb(made[0].text)]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def advice(family: Family, config: Config, available: int, *, parameters: Mapping[str, int] | None = None) -> str:
    """The smallest change that makes training fit, in words."""
    for other in _smaller(config):
        if memory(family, other, parameters=parameters).slim <= available:
            names = ("checkpointing", "batch", "size", "dtype")
            changed = [name for name in names if getattr(other, name) != getattr(config, name)]
            return f"it would fit with {', '.join(f'{name} {getattr(other, name)}' for name in changed)}."
    return "no setting makes it fit; use a larger GPU or a smaller model."


def _smaller(config: Config) -> Iterator[Config]:
    """Smaller configurations, the least loss first: checkpointing and batches cost only time."""
    sizes = [config.size, *(size for size in (512, 384, 256) if size < config.size)]
    batches = [config.batch, *(2**power for power in range(12, -1, -1) if 2**power < config.batch)]
    for dtype in dict.fromkeys((config.dtype, "bfloat16")):
        for size in sizes:
            for batch in batches:
                yield replace(config, checkpointing=True, batch=batch, size=size, dtype=dtype)


def _scaled(family: Family, config: Config, weights: int | None) -> Mapping[str, int]:
    """The published counts, scaled to a folder's bytes."""
    if not weights:
        return family.parameters
    share = weights / (family.total * BYTES[config.dtype])
    return {name: int(count * share) for name, count in family.parameters.items()}


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.3g} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
