"""The editor modules in people's words: titles, what each is, and the fields of its settings.

What is allowed is said once, by the module's own ``check``; a field left empty keeps the module's default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from training.gpu.classical_ops.variants import VARIANTS
from training.gpu.diffusion import presets
from training.gpu.diffusion.needs import spec_of
from training.gpu.diffusion.settings import COMMON, Spec
from training.gpu.editors import drawn, editor_names, folder, openai_images
from training.memory import BYTES, OFFLOADS
from webapp.endpoints.http import IMAGES
from webapp.endpoints.models import Endpoint

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

Fields = dict[str, forms.Field]


@dataclass(frozen=True)
class Program:
    """``takes_lora``: by which settings a LoRA can be put on, none for editors that have no such thing."""

    module: str
    title: StrPromise | str
    about: StrPromise | str = ""
    notice: StrPromise | str = ""
    takes_lora: tuple[str, ...] = ()


def _diffusers(module: str, title: str, about: StrPromise) -> Program:
    return Program(module, title, about, takes_lora=("scale", "alpha"))


_LARGE = _("Through diffusers. Needs its weights and a GPU.")
_PROGRAMS = (
    _diffusers("flux_kontext", "FLUX.1 Kontext [dev]", _LARGE),
    _diffusers("qwen_image_edit", "Qwen-Image-Edit", _LARGE),
    _diffusers("qwen_image_edit_plus", "Qwen-Image-Edit-2509 (Plus)", _LARGE),
    _diffusers("instruct_pix2pix", "InstructPix2Pix", _("Through diffusers. Needs its weights and a small GPU.")),
    Program(
        "openai_images", _("A service"), _("Any service of OpenAI's images/edits form. An admin sets up its endpoint.")
    ),
    Program("folder", _("Images made elsewhere"), _("A folder of image files, found by the keys of the cases.")),
    Program(
        "drawn",
        _("CPU editor"),
        _("A small model of the drawn world. Needs no GPU. Knows pictures of 64 × 64 pixels alone."),
        _("A small flow-matching model that knows the drawn world alone."),
        ("scale",),
    ),
    Program(
        "classical",
        _("Classical edits"),
        _("Formulas, no model. For cases with masks and parameters."),
        _("Classical edit with masks and formulas; no model."),
    ),
)
LABELS: Mapping[str, StrPromise] = {
    "model": _("Model: a folder on the worker's machine, or a Hub id"),
    "revision": _("Revision of the Hub id"),
    "preset": _("Preset for the size of the GPU"),
    "size": _("Side of the picture in work, in pixels"),
    "steps": _("Sampling steps"),
    "guidance": _("Guidance by the instruction"),
    "image_guidance": _("Guidance by the source"),
    "true_cfg": _("Guidance away from the negative prompt (1: none)"),
    "negative_prompt": _("Negative prompt"),
    "words": _("Tokens of the instruction at most"),
    "condition_size": _("Side of the source for the text encoder, in pixels"),
    "batch": _("Images of one case at once"),
    "dtype": _("Numbers of the weights"),
    "offload": _("Offload"),
    "device": _("Device"),
    "device_map": _("Spread over GPUs"),
    "attention": _("Attention backend"),
    "compile": _("Compile first: minutes once, then faster"),
    "base": _("Base"),
    "variant": _("Variant"),
    "folder": _("Folder beneath the incoming folder"),
    "pattern": _("Names of the files"),
    "endpoint": _("Endpoint"),
    "mask": _("Send the case's mask"),
}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "preset": ("auto", *presets.NAMES),
    "dtype": tuple(BYTES),
    "offload": OFFLOADS,
    "device_map": ("none", "balanced"),
    "base": drawn.BASES,
    "variant": tuple(VARIANTS),
}
_HELD = ("dtype", "offload", "batch", "device")  # what a preset fills in
MACHINE = ("revision", "device", "device_map", "dtype", "offload", "attention", "compile", "batch")  # seldom touched


def programs() -> list[Program]:
    """All modules of the folder, the ones described here first and in their order."""
    names = editor_names()
    told = {program.module: program for program in _PROGRAMS if program.module in names}
    return [*told.values(), *(Program(name, name) for name in names if name not in told)]


def program(module: str) -> Program | None:
    return next((found for found in programs() if found.module == module), None)


def fields_of(module: str) -> Fields:
    """A form field for each setting of that module, but for its LoRA; empty for a module without described settings."""
    spec = spec_of(module)
    return _of_spec(spec) if spec else _OWN.get(module, dict)()


def _of_spec(spec: Spec) -> Fields:
    """In the order of interest: which model, how it edits, how it is held."""
    values: dict[str, Any] = {"model": spec.model, "preset": "auto", **spec.own, **COMMON}
    fields = {name: _field(name, value) for name, value in values.items() if name != "lora"}
    for name in _HELD:
        fields[name].help_text = _("Empty: by the preset.")
        fields[name].widget.attrs.pop("placeholder", None)
    return fields


def _field(name: str, default: Any) -> forms.Field:
    """An optional field that shows the default in its place."""
    label = LABELS.get(name, name)
    hint = {"placeholder": str(default)}
    if name in _CHOICES:
        return forms.ChoiceField(label=label, required=False, choices=_choices(name, default))
    if isinstance(default, bool):
        return forms.BooleanField(label=label, required=False)
    if isinstance(default, int):
        return forms.IntegerField(label=label, required=False, widget=forms.NumberInput(attrs=hint))
    if isinstance(default, float):
        widget = forms.NumberInput(attrs={**hint, "step": "any"})
        return forms.FloatField(label=label, required=False, widget=widget)
    return forms.CharField(label=label, required=False, max_length=2000, widget=forms.TextInput(attrs=hint))


def _choices(name: str, default: str) -> list[tuple[str, Any]]:
    first = _("by the preset") if name in _HELD else _("%(value)s (default)") % {"value": default}
    return [("", first), *((value, value) for value in _CHOICES[name] if name in _HELD or value != default)]


def _drawn() -> Fields:
    steps, batch = (_field(name, drawn.NUMBERS[name][0]) for name in ("steps", "batch"))
    return {"base": _field("base", "good"), "model": _field("model", ""), "steps": steps, "batch": batch}


def _classical() -> Fields:
    return {"variant": _field("variant", "careful")}


def _folder() -> Fields:
    pattern = _field("pattern", folder.PATTERN)
    pattern.help_text = _("{key} is the case's key, {seed} the seed. Without {seed} there is one image a case.")
    return {"folder": forms.CharField(label=LABELS["folder"], max_length=200), "pattern": pattern}


def _openai_images() -> Fields:
    services = Endpoint.objects.filter(kind=IMAGES).values_list("slug", "name")
    endpoint = forms.ChoiceField(label=LABELS["endpoint"], choices=list(services))
    endpoint.help_text = _("The services for editing images that an admin has set up.")
    model = _field("model", "")
    model.label = _("Model (empty: the endpoint's)")
    size = forms.CharField(label=_("Size: source, auto, or like 1024x1024"), required=False, max_length=20)
    return {
        "endpoint": endpoint,
        "model": model,
        "size": size,
        "mask": _field("mask", False),
        **{name: _field(name, "") for name in openai_images.PARAMETERS},
    }


_OWN = {"drawn": _drawn, "classical": _classical, "folder": _folder, "openai_images": _openai_images}
