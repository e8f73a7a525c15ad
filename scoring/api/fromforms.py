"""A serializer with the fields of a form: the interface takes what the page takes, by the same rules.

The serializer checks the types of JSON and tells the schema; the form then checks the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from scoring.api.wire import Input

LARGEST = 2**31 - 1


def serializer_of(form: type[forms.Form], name: str, **instead: serializers.Field) -> type[Input]:
    """``instead``: fields that JSON has in another way than the form."""
    made = {key: _field(field) for key, field in form.base_fields.items() if key not in instead}
    return type(name, (Input,), {**made, **instead})


def _field(field: forms.Field) -> serializers.Field:
    common = {"required": field.required, "help_text": str(field.help_text or field.label or "")}
    if isinstance(field, forms.BooleanField):
        return serializers.BooleanField(**{**common, "required": False})
    if isinstance(field, forms.MultipleChoiceField):
        return serializers.ListField(child=serializers.ChoiceField(_values(field)), **common)
    if isinstance(field, forms.ChoiceField):
        return serializers.ChoiceField(_values(field), allow_blank=not field.required, **common)
    if isinstance(field, forms.FloatField | forms.DecimalField):
        return serializers.FloatField(allow_null=not field.required, **_range(field), **common)
    if isinstance(field, forms.IntegerField):
        return serializers.IntegerField(
            allow_null=not field.required, **{"max_value": LARGEST, **_range(field)}, **common
        )
    longest = getattr(field, "max_length", None) or 100_000
    return serializers.CharField(allow_blank=not field.required, max_length=longest, **common)


def _values(field: forms.ChoiceField) -> list[str]:
    choices: Any = field.choices  # typed as all that a form may be given
    return [str(value) for value, _label in choices if value != ""]


def _range(field: Any) -> dict[str, Any]:
    ends = {"min_value": field.min_value, "max_value": field.max_value}
    return {name: value for name, value in ends.items() if value is not None}


def filled(form: type[forms.Form], values: Mapping[str, Any], keys: Mapping[str, str]) -> forms.Form:
    """The valid form with these values. ``keys``: fields of rows, and by which column. Raises ValidationError."""
    made = form(data={name: value for name, value in values.items() if value is not None})
    for name, column in keys.items():
        field = made.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        field.to_field_name = column
    if not made.is_valid():
        raise ValidationError({name: [str(text) for text in texts] for name, texts in made.errors.items()})
    return made
