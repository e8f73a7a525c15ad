"""The form that starts an export."""

from django import forms
from django.utils.translation import gettext_lazy as _

from scoring.export_tables import TABLES, Options
from scoring.stats.mos import METHODS, OUTLIER_RULES
from scoring.writers import WRITERS


class ExportForm(forms.Form):
    table = forms.ChoiceField(label=_("Table"), choices=[(name, table.label) for name, table in TABLES.items()])
    format = forms.ChoiceField(label=_("Format"), choices=[(name, name.upper()) for name in WRITERS])
    method = forms.ChoiceField(label=_("Method (for MOS)"), choices=[(name, name) for name in METHODS], required=False)
    outliers = forms.ChoiceField(
        label=_("Outlier rule (for MOS)"),
        choices=[("", _("As the method says")), *((name, name) for name in OUTLIER_RULES)],
        required=False,
    )
    include_extra = forms.BooleanField(label=_("With extra judgements"), required=False)

    def options(self) -> Options:
        data = self.cleaned_data
        return Options(data["include_extra"], data["method"] or "zscore", data["outliers"])
