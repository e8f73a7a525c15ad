"""The categories of annotation/categories.json as rows."""

import json
from pathlib import Path

from django.db import migrations


def load(apps, schema_editor):
    category = apps.get_model("annotation", "Category")
    rows = json.loads((Path(__file__).parent.parent / "categories.json").read_text(encoding="utf-8"))
    category.objects.bulk_create([category(position=position, **row) for position, row in enumerate(rows)])


class Migration(migrations.Migration):
    dependencies = [("annotation", "0003_curation")]
    operations = [migrations.RunPython(load, migrations.RunPython.noop)]
