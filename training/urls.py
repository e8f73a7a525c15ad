from django.urls import path

from training import views

urlpatterns = [
    path("editors/", views.editors, name="editors"),
    path("editors/new/<slug:module>/", views.new_editor, name="new_editor"),
    path("editors/<str:slug>/", views.editor, name="editor"),
    path("editors/<str:slug>/delete/", views.delete_editor, name="delete_editor"),
    path("datasets/<uuid:uid>/generate/", views.generate, name="generate"),
]
