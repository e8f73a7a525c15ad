"""The prompts of scoring/prompts/shipped as rows."""

from django.db import migrations

from scoring.prompts.loading import load


def make(apps, schema_editor):
    load(*(apps.get_model("scoring", name) for name in ("Prompt", "PromptVersion", "Question")))


class Migration(migrations.Migration):
    dependencies = [("scoring", "0001_initial"), ("annotation", "0002_tasks")]
    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
