# What people decide about annotators

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("annotation", "0007_way_in"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="concern",
            name="kind",
            field=models.CharField(
                choices=[
                    ("gold", "Wrong on gold items"),
                    ("attention", "Fails attention checks"),
                    ("repeat", "Answers the same item differently"),
                    ("source", "Does not see the untouched source"),
                    ("duplicate", "Tells the same picture apart from itself"),
                    ("speed", "Answers in very little time"),
                    ("straight", "Gives the same answer again and again"),
                    ("reversed", "Goes against everybody else"),
                    ("random", "No trace of the others' opinion"),
                    ("outliers", "Far from the others"),
                ],
                max_length=9,
            ),
        ),
        migrations.CreateModel(
            name="Decision",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("uid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("dismiss", "No reason to act"),
                            ("warn", "Told"),
                            ("pause", "Paused"),
                            ("unpause", "Pause lifted"),
                            ("exclude", "Excluded"),
                            ("include", "Exclusion lifted"),
                        ],
                        max_length=7,
                    ),
                ),
                ("words", models.TextField(blank=True)),
                ("note", models.TextField(blank=True)),
                ("seen_at", models.DateTimeField(blank=True, null=True)),
                (
                    "annotator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "concern",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="decisions",
                        to="annotation.concern",
                    ),
                ),
                (
                    "study",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="decisions", to="annotation.study"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("kind", "warn"), ("seen_at", None)),
                        fields=["study", "annotator"],
                        name="decision_warning_unread",
                    ),
                    models.Index(fields=["study", "annotator", "id"], name="decision_of_annotator"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["dismiss", "warn", "pause", "unpause", "exclude", "include"])),
                        name="decision_kind_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind", "warn"), ("words", ""), _negated=True),
                        name="decision_warning_has_words",
                    ),
                ],
            },
        ),
    ]
