from django.urls import path

from training import views
from training.recipes import views as recipes
from training.reward_models import views as reward_models

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
    # Reward models
    path("reward-models/", reward_models.reward_models, name="reward_models"),
    path("reward-models/new/", reward_models.new_reward_model, name="new_reward_model"),
    path("reward-models/<slug:slug>/<int:number>/", reward_models.reward_model, name="reward_model"),
    path("reward-models/<slug:slug>/<int:number>/file/", reward_models.reward_model_file, name="reward_model_file"),
    path("reward-models/<slug:slug>/<int:number>/judge/", reward_models.reward_model_judge, name="reward_model_judge"),
    path("reward-models/<slug:slug>/<int:number>/note/", reward_models.reward_model_note, name="reward_model_note"),
    path(
        "reward-models/<slug:slug>/<int:number>/delete/", reward_models.delete_reward_model, name="delete_reward_model"
    ),
]
