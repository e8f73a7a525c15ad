"""What a webhook can be told of. Pure."""

from django.utils.translation import gettext_lazy as _

JUDGEMENT_SAVED = "judgement.saved"
UNIT_FULL = "unit.full"
STUDY_STATE = "study.state"
STUDY_CONTESTED = "study.contested"
EXPORT_FINISHED = "export.finished"
JOB_FINISHED = "job.finished"
PING = "ping"  # a test that a person asked for; nobody subscribes to it

EVENTS = {
    JUDGEMENT_SAVED: _("A judgement was saved or revised"),
    UNIT_FULL: _("An item has all the judgements that it waited for"),
    STUDY_STATE: _("A study was opened, paused or closed"),
    STUDY_CONTESTED: _("Annotators agree too little on an item, even after more were asked"),
    EXPORT_FINISHED: _("An export has its file"),
    JOB_FINISHED: _("A job ended: done, failed or cancelled"),
}
