"""What every model shares."""

import uuid

from django.db import models


class Row(models.Model):
    """A row with a small key for joins and paging, and a UUID for addresses: keys in addresses can be guessed."""

    id = models.BigAutoField(primary_key=True)
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True
