"""What judges are asked (prompts and their versions), and who is asked (judges)."""

from functools import cached_property

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from annotation.models.library import SLUG, Task
from scoring.judging.render import PromptText
from webapp.core.models import Row

USER = settings.AUTH_USER_MODEL  # a name of its own: Judge has a field "settings"
HIGHEST = 9  # a score is one digit, so that the digits' probabilities can be read


class Prompt(Row):
    """The line of versions by which edits of a task are scored in one dimension. Without a task: for every task."""

    slug = models.CharField(max_length=80, unique=True, validators=[SLUG])
    name = models.CharField(max_length=120)
    task = models.ForeignKey(Task, null=True, blank=True, on_delete=models.PROTECT, related_name="prompts")
    dimension = models.CharField(max_length=40, default="overall")
    low = models.PositiveSmallIntegerField(default=0)
    high = models.PositiveSmallIntegerField(default=5)
    description = models.TextField(blank=True)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(condition=Q(low__lt=F("high"), high__lte=HIGHEST), name="prompt_scale_of_digits"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("prompt", args=[self.slug])


class PromptVersion(Row):
    """A prompt as it was asked: never changed. A change is a new version with a parent."""

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    preamble = models.TextField()
    rubric = models.TextField()
    note = models.CharField(max_length=500, blank=True)
    author = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL)
    is_trial = models.BooleanField(default=False)  # made by a program to try a question; a person has not accepted it

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["prompt", "number"], name="prompt_version_once")]

    def __str__(self) -> str:
        return f"{self.prompt.name} v{self.number}"

    def get_absolute_url(self) -> str:
        return reverse("prompt_version", args=[self.prompt.slug, self.number])

    @cached_property
    def asked(self) -> "list[Question]":
        """The questions that are switched on, in order. Uses rows that were prefetched."""
        return [question for question in self.questions.all() if question.is_on]

    @property
    def text(self) -> PromptText:
        """The content, as it is rendered."""
        questions = tuple(question.text for question in self.asked)
        return PromptText(self.preamble, questions, self.rubric, self.prompt.low, self.prompt.high)


class Question(models.Model):
    """A question of a version. ``key`` stays the same from version to version, so that a diff knows it."""

    version = models.ForeignKey(PromptVersion, on_delete=models.CASCADE, related_name="questions")
    key = models.CharField(max_length=40)
    position = models.PositiveSmallIntegerField()
    text = models.TextField()
    is_on = models.BooleanField(default=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["version", "key"], name="question_key_once"),
            models.UniqueConstraint(fields=["version", "position"], name="question_position_once"),
        ]


class Judge(Row):
    """Who scores: a backend (asking/backends.py) with settings that never change.

    ``passes``: how often one prompt is asked; the score is the mean of what could be read.
    """

    slug = models.CharField(max_length=80, unique=True, validators=[SLUG])
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=20)
    settings = models.JSONField(default=dict, blank=True)
    passes = models.PositiveSmallIntegerField(default=1)
    notice = models.CharField(max_length=200, blank=True)  # shown wherever its scores are: "demo judge, not a VLM"
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(condition=Q(passes__gte=1, passes__lte=32), name="judge_passes_in_range"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("judge", args=[self.slug])
