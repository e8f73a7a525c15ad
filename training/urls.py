from django.urls import path

from training import views
from training.recipes import views as recipes

urlpatterns = [
    path("editors/", views.editors, name="editors"),
    path("editors/new/<slug:module>/", views.new_editor, name="new_editor"),
    path("editors/<str:slug>/", views.editor, name="editor"),
    path("editors/<str:slug>/delete/", views.delete_editor, name="delete_editor"),
    path("datasets/<uuid:uid>/generate/", views.generate, name="generate"),
    path("recipes/", recipes.recipes, name="recipes"),
    path("recipes/<uuid:uid>/", recipes.recipe, name="recipe"),
    path("recipes/<uuid:uid>/now/", recipes.recipe_now, name="recipe_now"),
    path("recipes/<uuid:uid>/go-on/", recipes.go_on, name="recipe_go_on"),
    path("recipes/<uuid:uid>/try-again/", recipes.try_again, name="recipe_try_again"),
    path("recipes/<uuid:uid>/stop/", recipes.stop, name="recipe_stop"),
    path("datasets/<uuid:uid>/recipe/", recipes.new_recipe, name="new_recipe"),
]
