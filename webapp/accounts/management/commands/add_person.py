"""`manage.py add_person NAME --role admin`: the first admin where there is no demo; all others are invited."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from webapp.accounts.models import Role, User


class Command(BaseCommand):
    help = "Make an account and print its fresh password, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--role", choices=Role.values, default=Role.ADMIN)

    def handle(self, *args: Any, username: str, role: str, **options: Any) -> None:
        password = secrets.token_urlsafe(12)
        user = User(username=username, role=role)
        user.set_password(password)
        try:
            user.full_clean()
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        user.save()
        self.stdout.write(f"{username} ({role}): {password}")
