from django.apps import AppConfig


class AnnotationConfig(AppConfig):
    name = "annotation"

    def ready(self) -> None:
        from annotation import faults, imports
        from annotation.curation import categorisers, hashing
        from annotation.instructions import propose
        from annotation.simulation import job as simulation
        from annotation.versions import export, freeze
        from webapp.jobs.kinds import register

        register(imports.KIND)
        register(faults.KIND)
        register(freeze.KIND)
        register(export.KIND)
        register(hashing.KIND)
        register(propose.KIND)
        register(simulation.KIND)
        categorisers.register(categorisers.BY_HAND)
