"""The forms of editors and of generation jobs."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation import queries
from annotation.models import Dataset, Editor, Split
from training import editors
from training.programs import MACHINE, Program, fields_of

LORA_LABELS = {"scale": _("Strength of the LoRA"), "alpha": _("α, for a file that does not say it")}
LORA_HINTS = {"scale": "1", "alpha": ""}
PREFIX = "set_"  # before the names of settings, which could be those of other fields


class GenerationForm(forms.Form):
    editors = forms.ModelMultipleChoiceField(
        label=_("Editors"), queryset=Editor.objects.exclude(module=""), widget=forms.CheckboxSelectMultiple
    )
    seeds = forms.IntegerField(label=_("Candidates of each case and editor"), min_value=1, max_value=100, initial=1)
    tasks = forms.MultipleChoiceField(
        label=_("Tasks (none chosen: all)"), required=False, widget=forms.CheckboxSelectMultiple
    )
    splits = forms.MultipleChoiceField(
        label=_("Splits (none chosen: all)"),
        required=False,
        choices=Split.choices,
        widget=forms.CheckboxSelectMultiple,
    )
    sample = forms.IntegerField(
        label=_("Editors drawn for each case (empty: all)"),
        min_value=1,
        required=False,
        help_text=_("A random choice of the editors above for every case, so that each is compared with all others."),
    )
    limit = forms.IntegerField(label=_("At most so many cases (empty: all)"), min_value=1, required=False)

    def __init__(self, *args: Any, dataset: Dataset, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        tasks = self.fields["tasks"]
        assert isinstance(tasks, forms.MultipleChoiceField)
        tasks.choices = [(task.slug, f"{task.name} ({count})") for task, count in queries.tasks_of(dataset)]


class EditorForm(forms.Form):
    """A new editor of one program: its name, its settings, and a LoRA where it takes one."""

    name = forms.CharField(label=_("Name"), max_length=120, help_text=_("As people who make candidates will read it."))

    def __init__(self, *args: Any, program: Program, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in fields_of(program.module).items():
            self.fields[PREFIX + name] = field
        if program.takes_lora:
            self.fields["lora"] = forms.FileField(
                label=_("LoRA: a .safetensors file"), required=False, help_text=_("Put on with its own α.")
            )
            self.fields["lora_kept"] = forms.CharField(required=False, widget=forms.HiddenInput)
        for name in program.takes_lora:
            self.fields[f"lora_{name}"] = forms.FloatField(
                label=LORA_LABELS[name],
                required=False,
                widget=forms.NumberInput(attrs={"step": "any", "placeholder": LORA_HINTS[name]}),
            )

    def first(self) -> list[forms.BoundField]:
        """What one thinks about: the name, how it edits, the LoRA."""
        held = {field.name for field in self.machine()}
        return [field for field in self.visible_fields() if field.name not in held]

    def machine(self) -> list[forms.BoundField]:
        """How the model is held, which a preset knows; shown on demand."""
        names = MACHINE if PREFIX + "preset" in self.fields else ()
        return [self[PREFIX + name] for name in names]

    def machine_open(self) -> bool:
        return any(field.errors or field.value() for field in self.machine())

    def clean(self) -> dict[str, Any]:
        name = self.cleaned_data.get("lora_kept")
        if name and not editors.is_kept_lora(name):
            raise forms.ValidationError(_("The LoRA of the copied editor is not there. Upload it again."))
        return self.cleaned_data

    def settings(self) -> dict[str, Any]:
        """What was filled in; what was left empty keeps its default. Keeps the LoRA. Raises ValidationError."""
        found = {
            name.removeprefix(PREFIX): value
            for name, value in self.cleaned_data.items()
            if name.startswith(PREFIX) and value is not False and value not in ("", None)
        }
        upload = self.cleaned_data.get("lora")
        file = editors.keep_lora(upload) if upload else self.cleaned_data.get("lora_kept")
        strengths = {name: self.cleaned_data.get(f"lora_{name}") for name in LORA_LABELS}
        given = {name: value for name, value in strengths.items() if value is not None}
        if file:
            found["lora"] = {"file": file, **given}
        elif given:
            raise forms.ValidationError(_("A strength was given and no LoRA."))
        return found


def initial_of(editor: Editor) -> dict[str, Any]:
    """The form's values for a copy of an editor."""
    lora = editor.settings.get("lora") or {}
    values = {PREFIX + name: value for name, value in editor.settings.items()}
    strengths = {f"lora_{name}": lora[name] for name in LORA_LABELS if name in lora}
    return {**values, **strengths, "lora_kept": lora.get("file", ""), "name": editor.name}
