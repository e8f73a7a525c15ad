from django.urls import path

from training import views

urlpatterns = [
    path("datasets/<uuid:uid>/generate/", views.generate, name="generate"),
]
