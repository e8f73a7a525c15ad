from django.urls import path

from webapp.dashboard import views

urlpatterns = [
    path("", views.home, name="home"),
    path("overview/", views.overview, name="overview"),
    path("metrics", views.metrics, name="metrics"),
]
