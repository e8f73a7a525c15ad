from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "training"

    def ready(self) -> None:
        from training import generation
        from webapp.jobs.kinds import register

        register(generation.KIND)
