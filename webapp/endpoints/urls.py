from django.urls import path

from webapp.endpoints import views

urlpatterns = [
    path("endpoints/", views.endpoints, name="endpoints"),
    path("endpoints/new/", views.new, name="endpoint_new"),
    path("endpoints/<uuid:uid>/", views.endpoint, name="endpoint"),
    path("endpoints/<uuid:uid>/delete/", views.delete, name="endpoint_delete"),
    path("endpoints/<uuid:uid>/try/", views.try_out, name="endpoint_try"),
]
