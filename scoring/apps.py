from django.apps import AppConfig


class ScoringConfig(AppConfig):
    name = "scoring"

    def ready(self) -> None:
        from annotation.followups import FOLLOWUPS
        from scoring import exports
        from scoring.api.queries import study_choices
        from scoring.api.telling import tell_full
        from scoring.asking import backends, endpoint, jobs
        from scoring.calibration import refining
        from scoring.curation import services as curation
        from scoring.elsewhere import jobs as elsewhere
        from scoring.filtering import services as filtering
        from scoring.reannotation import services as reannotation
        from webapp.hooks import studies as webhooks
        from webapp.jobs.kinds import register

        for kind in (exports.KIND, *jobs.JOB_KINDS, filtering.KIND, curation.KIND, refining.KIND, elsewhere.KIND):
            register(kind)
        backends.register(endpoint.ENDPOINT)
        refining.register_follower()
        webhooks.register(study_choices)
        FOLLOWUPS["webhooks"] = tell_full
        FOLLOWUPS["reannotation"] = reannotation.follow_up
