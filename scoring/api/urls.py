from django.urls import path

from scoring.api import schema, views

urlpatterns = [
    path("api/", schema.reference, name="api_reference"),
    path("api/schema/", schema.Schema.as_view(), name="api_schema"),
    path("api/v1/datasets/", views.Datasets.as_view(), name="api_datasets"),
    path("api/v1/datasets/<uuid:uid>/", views.OneDataset.as_view(), name="api_dataset"),
    path("api/v1/datasets/<uuid:uid>/cases/", views.Cases.as_view(), name="api_cases"),
    path("api/v1/datasets/<uuid:uid>/candidates/", views.Candidates.as_view(), name="api_candidates"),
    path("api/v1/images/<uuid:uid>/", views.Image.as_view(), name="api_image"),
    path("api/v1/studies/", views.Studies.as_view(), name="api_studies"),
    path("api/v1/studies/<uuid:uid>/", views.OneStudy.as_view(), name="api_study"),
    path("api/v1/studies/<uuid:uid>/members/", views.Members.as_view(), name="api_members"),
    path("api/v1/studies/<uuid:uid>/members/<uuid:member>/", views.OneMember.as_view(), name="api_member"),
    path("api/v1/studies/<uuid:uid>/results/", views.Results.as_view(), name="api_results"),
    path("api/v1/studies/<uuid:uid>/judgements/", views.Judgements.as_view(), name="api_judgements"),
    path("api/v1/studies/<uuid:uid>/exports/", views.StartExport.as_view(), name="api_start_export"),
    path("api/v1/judgements/<uuid:uid>/", views.OneJudgement.as_view(), name="api_judgement"),
    path("api/v1/exports/", views.Exports.as_view(), name="api_exports"),
    path("api/v1/exports/<uuid:uid>/", views.OneExport.as_view(), name="api_export"),
    path("api/v1/exports/<uuid:uid>/file/", views.ExportFile.as_view(), name="api_export_file"),
    path("api/v1/jobs/", views.Jobs.as_view(), name="api_jobs"),
    path("api/v1/jobs/<uuid:uid>/", views.OneJob.as_view(), name="api_job"),
    path("api/v1/jobs/<uuid:uid>/cancel/", views.CancelJob.as_view(), name="api_cancel_job"),
]
