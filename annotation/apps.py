from django.apps import AppConfig


class AnnotationConfig(AppConfig):
    name = "annotation"

    def ready(self) -> None:
        from annotation import imports
        from webapp.jobs.kinds import register

        register(imports.KIND)
