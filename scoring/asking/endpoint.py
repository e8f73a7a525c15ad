"""The backend that asks a chat model at an OpenAI-compatible endpoint."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scoring.asking.backends import Backend, Identity, Settings
from scoring.judging.contract import JudgeError
from scoring.judging.endpoint import Settings as Asked
from scoring.judging.pictures import PREPROCESSING
from webapp.endpoints.http import CHAT
from webapp.endpoints.models import Endpoint
from webapp.jobs.kinds import DEFAULT

ADDRESS, MODEL = "endpoint_address", "endpoint_model"  # what the endpoint was when the judge was made


class EndpointForm(forms.Form):
    endpoint = forms.ChoiceField(label=gettext_lazy("Endpoint"))
    temperature = forms.FloatField(
        label=gettext_lazy("Temperature"),
        min_value=0,
        max_value=2,
        initial=0,
        help_text=gettext_lazy("0 for one pass; about 1 where the mean of several passes is taken."),
    )
    max_tokens = forms.IntegerField(
        label=gettext_lazy("Longest answer, in tokens"), min_value=64, max_value=32_000, initial=1500
    )
    logprobs = forms.BooleanField(
        label=gettext_lazy("Score by the digits' probabilities"),
        required=False,
        initial=True,
        help_text=gettext_lazy("Finer and less tied. Services that do not give them are asked without."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = Endpoint.objects.filter(kind=CHAT).order_by("slug").values_list("slug", "name")
        self.fields["endpoint"].choices = list(known)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Keep what the endpoint stands for now: a judge whose model changes is another judge."""
        data: dict[str, Any] = super().clean() or {}
        if found := _endpoint(data):
            data |= {ADDRESS: found.base_url, MODEL: found.model}
        return data


def _identity(settings: Settings) -> Identity:
    found = _endpoint(settings)
    if found is None:
        message = _("The endpoint “%(slug)s” does not exist. An admin sets it up on the page Endpoints.")
        raise ValidationError(message % {"slug": settings.get("endpoint")})
    if (settings.get(ADDRESS, found.base_url), settings.get(MODEL, found.model)) != (found.base_url, found.model):
        message = _(
            "The endpoint “%(name)s” was the model %(was)s at %(at)s when this judge was made. It is another now: make "
            "a new judge for it."
        )
        raise ValidationError(message % {"name": found.name, "was": settings.get(MODEL), "at": settings.get(ADDRESS)})
    try:
        asked = Asked.read({name: value for name, value in settings.items() if not name.startswith("endpoint")})
    except JudgeError as error:
        raise ValidationError(str(error)) from None
    return Identity(f"endpoint {found.base_url}", found.model, PREPROCESSING, asked.answering())


def _priced(settings: Settings) -> bool:
    found = _endpoint(settings)
    return found is not None and found.price_input is not None and found.price_output is not None


def _endpoint(settings: Settings) -> Endpoint | None:
    return Endpoint.objects.filter(slug=settings.get("endpoint", ""), kind=CHAT).first()


ENDPOINT = Backend(
    kind="endpoint",
    label=gettext_lazy("A vision-language model at an endpoint"),
    explanation=gettext_lazy("GPT-4o, Qwen3-VL on vLLM, or any other service that speaks OpenAI's protocol."),
    queue=DEFAULT,
    form=EndpointForm,
    identity=_identity,
    endpoints=lambda settings: [settings["endpoint"]] if "endpoint" in settings else [],
    priced=_priced,
)
