from django.urls import path

from webapp.dashboard import views

urlpatterns = [
    path("", views.home, name="home"),
    path("overview/", views.overview, name="overview"),
    path("overview/now/", views.overview_now, name="overview_now"),
    path("metrics", views.metrics, name="metrics"),
    path("live/overview/", views.live, name="overview_live"),
]
