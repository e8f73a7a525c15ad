"""The prompts of GEdit-Bench, where the others are there already."""

from importlib import import_module

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("scoring", "0003_reward_prompt")]
    operations = [
        migrations.RunPython(import_module("scoring.migrations.0002_prompts").make, migrations.RunPython.noop)
    ]
