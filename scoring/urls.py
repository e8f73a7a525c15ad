from django.urls import path

from scoring import views

urlpatterns = [
    path("studies/", views.studies, name="studies"),
    path("studies/<uuid:uid>/", views.study, name="study"),
    path("studies/<uuid:uid>/figures/", views.figures, name="study_figures"),
    path("studies/<uuid:uid>/more/", views.ask_more, name="study_ask_more"),
    path("studies/<uuid:uid>/export/", views.export, name="study_export"),
    path("exports/", views.exports, name="exports"),
    path("exports/<uuid:uid>/file/", views.export_file, name="export_file"),
    path("live/study/<uuid:uid>/", views.live, name="study_live"),
]
