"""A recipe: the steps from source images to a filtered, frozen data set, each with the jobs that do it."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from annotation.models import Dataset
from webapp.core.models import Row

USER = settings.AUTH_USER_MODEL  # a name of its own: Recipe has a field "settings"


class RecipeState(models.TextChoices):
    RUNNING = "running", _("Running")
    WAITING = "waiting", _("Waits for people")
    STOPPED = "stopped", _("Stopped")
    DONE = "done", _("Done")


class StepName(models.TextChoices):
    """In the order in which they are done."""

    INSTRUCTIONS = "instructions", _("Instructions")
    CATEGORIES = "categories", _("Categories")
    BALANCE = "balance", _("Balanced draw")
    HASHES = "hashes", _("Look-alikes")
    SPLITS = "splits", _("Splits")
    CANDIDATES = "candidates", _("Candidates")
    SCORES = "scores", _("Scores")
    FILTER = "filter", _("Hard cases")
    FREEZE = "freeze", _("Freeze")


class StepState(models.TextChoices):
    TO_COME = "to-come", _("To come")
    RUNNING = "running", _("Running")
    WAITING = "waiting", _("Waits for people")
    STOPPED = "stopped", _("Stopped")
    DONE = "done", _("Done")
    SKIPPED = "skipped", _("Left out")


OVER = (StepState.DONE, StepState.SKIPPED)
MAKES_A_SET = (StepName.BALANCE, StepName.FILTER)  # nothing can follow without what these make


class Recipe(Row):
    """What was asked for (``settings``: recipes.plan.Settings) and how far it is.

    ``dataset`` has the source images; ``drawn`` is the balanced draw, which holds the candidates and their scores;
    ``kept`` are its hard cases. Both are made by the recipe's own jobs.
    """

    name = models.CharField(max_length=60)
    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="recipes")
    settings = models.JSONField()
    state = models.CharField(max_length=8, choices=RecipeState.choices, default=RecipeState.RUNNING)
    drawn = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    kept = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=RecipeState.values), name="recipe_state_known"),
            models.CheckConstraint(condition=~Q(drawn=F("dataset")), name="recipe_draws_a_copy"),
        ]
        indexes = [models.Index(fields=["state", "id"], name="recipe_by_state")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("recipe", args=[self.uid])


class Step(models.Model):
    """A step of a recipe. ``message``: why it stopped, or was left out."""

    recipe = models.ForeignKey(Recipe, on_delete=models.CASCADE, related_name="steps")
    name = models.CharField(max_length=12, choices=StepName.choices)
    position = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=8, choices=StepState.choices, default=StepState.TO_COME)
    message = models.TextField(blank=True)
    jobs = models.ManyToManyField("jobs.Job", related_name="+")

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["recipe", "name"], name="step_once"),
            models.CheckConstraint(condition=Q(name__in=StepName.values), name="step_name_known"),
            models.CheckConstraint(condition=Q(state__in=StepState.values), name="step_state_known"),
        ]

    def __str__(self) -> str:
        return str(self.get_name_display())

    @property
    def may_be_called_done(self) -> bool:
        """Whether a person may say that the step is done as it is: it waits for that, or what it has made will do."""
        stopped = self.state == StepState.STOPPED and self.name not in MAKES_A_SET
        return stopped or self.state == StepState.WAITING
