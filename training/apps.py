from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "training"

    def ready(self) -> None:
        from annotation.curation import categorisers
        from training import categorising, generation
        from webapp.jobs.kinds import register

        register(generation.KIND)
        register(categorising.KIND)
        categorisers.register(categorising.CLIP)
