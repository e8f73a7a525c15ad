from django.apps import AppConfig


class ScoringConfig(AppConfig):
    name = "scoring"

    def ready(self) -> None:
        from scoring import exports
        from scoring.asking import backends, endpoint, jobs
        from scoring.calibration import refining
        from scoring.curation import services as curation
        from scoring.filtering import services as filtering
        from webapp.jobs.kinds import register

        for kind in (exports.KIND, *jobs.JOB_KINDS, filtering.KIND, curation.KIND, refining.KIND):
            register(kind)
        backends.register(endpoint.ENDPOINT)
        refining.register_follower()
