"""How much memory an editor will need, before it is started. Pure: pages and the GPU process ask the same function.

    weights     parameters × bytes a number, as far as the offload mode keeps them on the GPU
    LoRA        rank × (inputs + outputs) of every projection that has one
    images      batch × tokens × width × bytes × ``PER_TOKEN``: a block's tensors; attention keeps no matrix
    decoding    one picture's largest tensors in the VAE, which decodes one picture at a time
    reserve     the driver's and the libraries' own

Only weights and LoRA are exact. The other figures are estimates with the two constants below: they were worked out from
the layers' shapes and have not been measured on a GPU. `make bench ARGS=editors` prints estimate and peak side by side.
1 GB is 10⁹ bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

GB = 1_000_000_000
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
OFFLOADS = ("none", "model", "group", "sequential")  # from fast to small
PER_TOKEN = 24  # tensors of a token's width alive in one block: q, k, v, two of the MLP's 4 widths each, norms, copies
PER_PIXEL = 4  # copies of the VAE's widest map at full size: into and out of a convolution, normed, activated
RESERVE = GB


@dataclass(frozen=True, slots=True)
class Family:
    """A model's numbers. ``parameters`` by component; ``leaf``: of the largest single layer; ``width``: channels of a
    token; ``patch``: pixels a token's side; ``words``: most text tokens (and ``seen``: pixels a side of one picture
    token among them, 0 for none); ``references``: source pictures beside the made one; ``passes``: how often guidance
    repeats a picture in one batch; ``decoded``: the VAE's channels at full size; ``lora``: LoRA parameters a rank, with
    all attention projections."""

    title: str
    parameters: Mapping[str, int]
    leaf: int
    width: int
    patch: int
    words: int
    seen: int
    references: int
    passes: int
    decoded: int
    lora: int

    @property
    def total(self) -> int:
        return sum(self.parameters.values())


# Counted from the published configurations: each class built without memory (on the "meta" device) with the config.json
# of its repository. tests/gpu/test_memory.py counts them again. Those are black-forest-labs/FLUX.1-Kontext-dev,
# Qwen/Qwen-Image-Edit, Qwen/Qwen-Image-Edit-2509 and timbrooks/instruct-pix2pix; the repositories' cards give them as
# 12 B and 20 B.
_QWEN = Family(
    title="Qwen-Image-Edit",
    parameters={"transformer": 20_430_401_088, "text_encoder": 8_292_166_656, "vae": 126_892_531},
    leaf=544_997_376,
    width=3072,
    patch=16,
    words=256,
    seen=28,
    references=1,
    passes=1,
    decoded=192,
    lora=2_949_120,
)
FAMILIES: dict[str, Family] = {
    "flux-kontext": Family(
        title="FLUX.1 Kontext",
        parameters={
            "transformer": 11_901_408_320,
            "text_encoder_2": 4_762_310_656,
            "text_encoder": 123_060_480,
            "vae": 83_819_683,
        },
        leaf=131_596_288,
        width=3072,
        patch=16,
        words=512,
        seen=0,
        references=1,
        passes=1,
        decoded=256,
        lora=1_634_304,
    ),
    "qwen-image-edit": _QWEN,
    "qwen-image-edit-plus": replace(_QWEN, title="Qwen-Image-Edit-2509", words=456, seen=0),
    "instruct-pix2pix": Family(
        title="InstructPix2Pix",
        parameters={"unet": 859_532_484, "text_encoder": 123_060_480, "vae": 83_653_863},
        leaf=37_945_344,
        width=320,
        patch=8,
        words=0,
        seen=0,
        references=0,
        passes=3,
        decoded=256,
        lora=199_296,
    ),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job is about to run. ``size``: pixels a side of the picture in work; ``rank``: of a LoRA kept beside the
    weights, 0 for none; ``gpu`` False: everything in the machine's memory."""

    family: Family
    dtype: str = "bfloat16"
    offload: str = "none"
    batch: int = 1
    size: int = 1024
    rank: int = 0
    gpu: bool = True


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes by component on the device; ``host``: in the machine's memory beside it, where weights are offloaded."""

    plan: Plan
    parts: Mapping[str, int] = field(default_factory=dict)
    host: int = 0

    @property
    def total(self) -> int:
        return sum(self.parts.values())


def estimate(plan: Plan) -> Estimate:
    """Bytes that the plan needs. Raises ValueError for a dtype or offload mode that does not exist."""
    if plan.dtype not in BYTES or plan.offload not in OFFLOADS:
        raise ValueError(f"no such dtype or offload mode: {plan.dtype}, {plan.offload}")
    number, family = BYTES[plan.dtype], plan.family
    parts = {
        "weights": _kept(family, plan.offload) * number,
        "LoRA": plan.rank * family.lora * number,
        "images": plan.batch * family.passes * tokens(family, plan.size) * family.width * PER_TOKEN * number,
        "decoding": family.decoded * plan.size**2 * PER_PIXEL * number,
        "reserve": RESERVE,
    }
    return Estimate(plan, parts, 0 if plan.offload == "none" else family.total * number)


def tokens(family: Family, size: int) -> int:
    """Tokens of one picture: text, the picture in work, the source beside it."""
    seen = (size // family.seen) ** 2 if family.seen else 0
    return family.words + seen + (1 + family.references) * (size // family.patch) ** 2


def _kept(family: Family, offload: str) -> int:
    """Parameters on the GPU at the worst moment."""
    if offload == "model":
        return max(family.parameters.values())
    if offload == "group":  # one layer at work, the next on its way; the VAE stays
        return 2 * family.leaf + family.parameters["vae"]
    if offload == "sequential":
        return family.leaf
    return family.total


def fits(needed: Estimate, available: int) -> str | None:
    """None if it fits in ``available`` bytes, else one sentence: what it needs, what there is, what to change."""
    if needed.total <= available:
        return None
    plan = needed.plan
    what = ", ".join(f"{name} {gb(value)}" for name, value in needed.parts.items() if value)
    where = "GPU memory" if plan.gpu else "memory"
    return (
        f"{plan.family.title} at {plan.size} px in batches of {plan.batch} needs about {gb(needed.total)} GB of "
        f"{where} ({what}), and {gb(available)} GB are free: {advice(plan, available)}"
    )


def fits_host(needed: Estimate, available: int) -> str | None:
    """The same for the machine's own memory, which holds the weights that are offloaded."""
    if needed.host <= available:
        return None
    return (
        f"Offload {needed.plan.offload!r} keeps {gb(needed.host)} GB of weights in the machine's memory, and "
        f"{gb(available)} GB are free there: use another offload mode, or a machine with more memory."
    )


def advice(plan: Plan, available: int) -> str:
    """The smallest change that makes the plan fit, in words."""
    for other in _smaller(plan):
        if estimate(other).total <= available:
            names = ("dtype", "size", "offload", "batch")
            changes = [
                f"{name} {getattr(other, name)}" for name in names if getattr(other, name) != getattr(plan, name)
            ]
            return f"it would fit with {', '.join(changes)}."
    return "no setting makes it fit; use a larger device or a smaller model."


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Smaller plans, the least loss first: batches cost nothing but speed, then offload, then size, then dtype."""
    dtypes = [plan.dtype] if BYTES[plan.dtype] == 2 else [plan.dtype, "bfloat16"]
    sizes = [plan.size, *(size for size in (768, 512, 256) if size < plan.size)]
    offloads = OFFLOADS[OFFLOADS.index(plan.offload) :] if plan.gpu else (plan.offload,)
    batches = [batch for batch in range(plan.batch, 0, -1) if batch == plan.batch or batch & (batch - 1) == 0]
    for dtype, size, offload, batch in product(dtypes, sizes, offloads, batches):
        yield replace(plan, dtype=dtype, size=size, offload=offload, batch=batch)


def gb(count: int) -> str:
    return f"{count / GB:.1f}"
