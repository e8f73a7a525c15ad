from django.apps import AppConfig


class ScoringConfig(AppConfig):
    name = "scoring"

    def ready(self) -> None:
        from scoring import exports
        from webapp.jobs.kinds import register

        register(exports.KIND)
