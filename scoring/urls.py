from django.urls import path

from scoring import views
from scoring.asking import views as asking
from scoring.boards import views as boards
from scoring.calibration import views as calibration
from scoring.curation import views as curation
from scoring.elsewhere import views as elsewhere
from scoring.filtering import views as filtering
from scoring.items import views as items
from scoring.prompts import views as prompts
from scoring.reporting import views as reporting
from scoring.votes import views as votes

urlpatterns = [
    path("studies/", views.studies, name="studies"),
    path("studies/<uuid:uid>/", views.study, name="study"),
    path("studies/<uuid:uid>/figures/", views.figures, name="study_figures"),
    path("studies/<uuid:uid>/more/", views.ask_more, name="study_ask_more"),
    path("studies/<uuid:uid>/export/", views.export, name="study_export"),
    path("studies/<uuid:uid>/agreement/", boards.tab, {"name": "agreement"}, name="study_agreement"),
    path("studies/<uuid:uid>/annotators/", boards.tab, {"name": "annotators"}, name="study_annotators"),
    path("studies/<uuid:uid>/leaderboard/", boards.tab, {"name": "leaderboard"}, name="study_leaderboard"),
    path("studies/<uuid:uid>/leaderboard/<str:slug>/", boards.editor, name="study_editor"),
    path("studies/<uuid:uid>/report/", reporting.report, name="study_report"),
    path("studies/<uuid:uid>/report.html", reporting.report_file, name="study_report_file"),
    path("studies/<uuid:uid>/figures/<slug:tab>/<slug:name>.csv", boards.figure_csv, name="study_figure_csv"),
    path("studies/<uuid:uid>/items/", items.items, name="items"),
    path("studies/<uuid:uid>/contested/", items.contested, name="contested"),
    path("items/<uuid:uid>/", items.item, name="item"),
    path("items/<uuid:uid>/adjudicate/", items.adjudicate, name="adjudicate"),
    path("judgements/<uuid:uid>/", items.judgement, name="judgement"),
    path("unclear/<uuid:uid>/", views.settle_unclear, name="unclear_settle"),
    path("exports/", views.exports, name="exports"),
    path("exports/<uuid:uid>/file/", views.export_file, name="export_file"),
    path("judges/", asking.judges, name="judges"),
    path("judges/<str:slug>/delete/", asking.delete_judge, name="delete_judge"),
    path("judges/new/<slug:kind>/", asking.new_judge, name="new_judge"),
    path("judges/<str:slug>/", asking.judge, name="judge"),
    path("datasets/<uuid:uid>/score/", asking.score_dataset, name="score_dataset"),
    path("datasets/<uuid:uid>/scores/", filtering.hard_cases, name="hard_cases"),
    path("datasets/<uuid:uid>/scores/curate/", curation.curation, name="curation"),
    path("datasets/<uuid:uid>/scores/candidates/", filtering.scored_candidates, name="scored_candidates"),
    path("prompts/", prompts.prompts, name="prompts"),
    path("prompts/new/", prompts.new_prompt, name="new_prompt"),
    path("prompts/<str:slug>/", prompts.prompt, name="prompt"),
    path("prompts/<str:slug>/<int:number>/", prompts.version, name="prompt_version"),
    path("prompts/<str:slug>/<int:number>/new/", prompts.new_version, name="new_prompt_version"),
    path("prompts/<str:slug>/<int:number>/drop/", prompts.drop_trial, name="drop_prompt_trial"),
    path("votes/", votes.vote_sets, name="vote_sets"),
    path("votes/<uuid:uid>/", votes.vote_set, name="vote_set"),
    path("votes/<uuid:uid>/judges.csv", votes.vote_set_table, name="vote_set_table"),
    path("votes/<uuid:uid>/delete/", votes.delete_vote_set, name="delete_vote_set"),
    path("judgements/", elsewhere.judgement_sets, name="judgement_sets"),
    path("judgements/imported/<uuid:uid>/", elsewhere.judgement_set, name="judgement_set"),
    path("judgements/imported/<uuid:uid>/scores.csv", elsewhere.judgement_scores, name="judgement_scores"),
    path("judgements/imported/<uuid:uid>/figures/", elsewhere.judgement_figures, name="judgement_figures"),
    path("judgements/imported/<uuid:uid>/delete/", elsewhere.delete_judgements, name="delete_judgements"),
    path("calibrations/", calibration.calibrations, name="calibrations"),
    path("calibrations/new/", calibration.new_calibration, name="new_calibration"),
    path("calibrations/<uuid:uid>/", calibration.calibration, name="calibration"),
    path("calibrations/<uuid:uid>/versions/", calibration.versions, name="calibration_versions"),
    path("calibrations/<uuid:uid>/compare/", calibration.compare, name="calibration_compare"),
    path("calibrations/<uuid:uid>/<int:number>/score/", calibration.score, name="calibration_score"),
    path("calibrations/<uuid:uid>/<int:number>/new/", calibration.new_version, name="calibration_new_version"),
    path("calibrations/<uuid:uid>/<int:number>/look/", calibration.look, name="calibration_look"),
    path("calibrations/<uuid:uid>/<int:number>/level/", calibration.level, name="calibration_level"),
    path("calibrations/<uuid:uid>/<int:number>/activate/", calibration.activate, name="calibration_activate"),
    path("calibrations/<uuid:uid>/<int:number>/rows/", calibration.rows, name="calibration_rows"),
    path("calibrations/<uuid:uid>/<int:number>/triples.csv", calibration.triples, name="calibration_triples"),
    path("calibrations/<uuid:uid>/<int:number>/unclear/", calibration.unclear, name="calibration_unclear"),
    path("calibrations/<uuid:uid>/<int:number>/refine/", calibration.refine, name="calibration_refine"),
    path("calibrations/<uuid:uid>/<int:number>/ablation/", calibration.ablation, name="ablation"),
    path("calibrations/<uuid:uid>/anchors/", calibration.anchors, name="calibration_anchors"),
    path("drift/<str:slug>/", calibration.drift_of, name="drift"),
    path("suggestions/<uuid:uid>/", calibration.decide, name="suggestion_decide"),
    path("live/calibrations/<uuid:uid>/<int:number>/", calibration.live, name="calibration_live"),
    path("live/study/<uuid:uid>/", views.live, name="study_live"),
]
