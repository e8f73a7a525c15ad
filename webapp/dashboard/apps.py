from django.apps import AppConfig


class DashboardConfig(AppConfig):
    name = "webapp.dashboard"

    def ready(self) -> None:
        import webapp.celery  # noqa: F401  # tasks are sent through this application
