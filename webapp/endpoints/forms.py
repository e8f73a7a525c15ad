"""The form of an endpoint. The key goes in and never comes out."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from webapp.endpoints.models import Endpoint

if TYPE_CHECKING:
    Base = forms.ModelForm[Endpoint]
else:
    Base = forms.ModelForm  # knows no type parameter when it runs


class EndpointForm(Base):
    key = forms.CharField(
        label=_("Key"),
        required=False,
        max_length=1000,
        strip=True,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}, render_value=False),
    )
    forget_key = forms.BooleanField(label=_("Forget the stored key"), required=False)

    class Meta:
        model = Endpoint
        fields = [
            "name", "slug", "kind", "base_url", "model", "concurrency", "per_minute", "price_input", "price_output",
            "price_image",
        ]  # fmt: skip
        help_texts = {
            "slug": _("Editors and scorers name the endpoint by it."),
            "base_url": _("What comes before /chat/completions or /images/edits, such as https://example.org/v1."),
            "model": _("As the service calls it."),
            "price_image": _("Prices are optional. With them costs are counted and can be limited."),
        }

    field_order = ("name", "slug", "kind", "base_url", "model", "key", "forget_key")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.has_key:
            self.fields["key"].help_text = _("A key is stored. It is not shown; enter a new one to replace it.")
        else:
            self.fields["key"].help_text = _("Kept encrypted, and not shown again. Leave it empty if none is needed.")
            del self.fields["forget_key"]

    def secret(self) -> dict[str, Any]:
        """What the form says about the key."""
        data = self.cleaned_data
        return {"key": data.get("key", ""), "forget_key": bool(data.get("forget_key"))}
