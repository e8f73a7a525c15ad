"""The prompt of reward models, where the others are there already."""

from importlib import import_module

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("scoring", "0002_prompts")]
    operations = [
        migrations.RunPython(import_module("scoring.migrations.0002_prompts").make, migrations.RunPython.noop)
    ]
