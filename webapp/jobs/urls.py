from django.urls import path

from webapp.jobs import views

urlpatterns = [
    path("jobs/", views.jobs, name="jobs"),
    path("jobs/<uuid:uid>/", views.job, name="job"),
    path("jobs/<uuid:uid>/status/", views.status, name="job_status"),
    path("jobs/<uuid:uid>/part/", views.part, name="job_part"),
    path("jobs/<uuid:uid>/cancel/", views.cancel, name="job_cancel"),
    path("jobs/<uuid:uid>/resume/", views.resume, name="job_resume"),
    path("jobs/<uuid:uid>/clone/", views.clone, name="job_clone"),
    path("live/job/<uuid:uid>/", views.live, name="job_live"),
]
