"""The tasks of annotation/tasks.json as rows."""

import json
from pathlib import Path

from django.db import migrations


def load(apps, schema_editor):
    task = apps.get_model("annotation", "Task")
    rows = json.loads((Path(__file__).parent.parent / "tasks.json").read_text(encoding="utf-8"))
    task.objects.bulk_create([task(position=position, **row) for position, row in enumerate(rows)])


class Migration(migrations.Migration):
    dependencies = [("annotation", "0001_initial")]
    operations = [migrations.RunPython(load, migrations.RunPython.noop)]
