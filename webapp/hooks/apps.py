from django.apps import AppConfig


class HooksConfig(AppConfig):
    name = "webapp.hooks"
    label = "hooks"
