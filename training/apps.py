from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "training"

    def ready(self) -> None:
        from annotation.curation import categorisers
        from scoring.asking import backends
        from training import categorising, generation, judges
        from training.benchmarks import job as benchmarks
        from training.editor_benchmarks import likeness
        from training.recipes import job as recipe_step
        from training.reward_models import job as reward_models
        from training.reward_models import judges as reward_judges
        from training.runs import job as runs
        from training.sets import freeze as training_sets
        from webapp.jobs.kinds import register

        register(generation.KIND)
        register(categorising.KIND)
        register(recipe_step.KIND)
        categorisers.register(categorising.CLIP)
        backends.register(judges.DRAWN)
        backends.register(judges.TRANSFORMERS)
        register(reward_models.KIND)
        backends.register(reward_judges.REWARD)
        register(training_sets.KIND)
        register(runs.KIND)
        register(benchmarks.KIND)
        benchmarks.connect()
        register(likeness.KIND)
