from django.urls import path

from training import views
from training.benchmarks import views as benchmarks
from training.editor_benchmarks import views as editor_benchmarks
from training.proof import views as proof
from training.recipes import views as recipes
from training.reward_models import views as reward_models
from training.runs import views as runs
from training.runs.sweeps import views as sweeps
from training.sets import views as sets

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
    # Training sets
    path("labelled-sets/", sets.labelled_sets, name="labelled_sets"),
    path("labelled-sets/new/", sets.new_labelled_set, name="new_labelled_set"),
    path("labelled-sets/import/", sets.import_labelled_set, name="import_labelled_set"),
    path("labelled-sets/<str:slug>/", sets.labelled_set, name="labelled_set"),
    path("labelled-sets/<str:slug>/pairs/", sets.labelled_set_pairs, name="labelled_set_pairs"),
    path("labelled-sets/<str:slug>/file/", sets.labelled_set_file, name="labelled_set_file"),
    path("labelled-sets/<str:slug>/rename/", sets.rename_labelled_set, name="rename_labelled_set"),
    path("labelled-sets/<str:slug>/delete/", sets.delete_labelled_set, name="delete_labelled_set"),
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
    # Benchmarks
    path("benchmarks/", benchmarks.benchmarks, name="benchmarks"),
    path("benchmarks/import/", benchmarks.import_benchmark, name="import_benchmark"),
    path("benchmarks/of/<slug:slug>/", benchmarks.benchmark, name="benchmark"),
    path("benchmarks/of/<slug:slug>/refresh/", benchmarks.refresh_benchmark, name="refresh_benchmark"),
    path("benchmarks/of/<slug:slug>/table.csv", benchmarks.benchmark_table, name="benchmark_table"),
    path("benchmarks/of/<slug:slug>/delete/", benchmarks.delete_benchmark, name="delete_benchmark"),
    # Post-training runs and the editors that they made
    path("runs/", runs.runs, name="runs"),
    path("runs/new/", runs.new_run, name="new_run"),
    path("runs/map/", runs.run_curve, name="run_curve"),
    path("runs/compare/", runs.compare_runs, name="compare_runs"),
    path("runs/<uuid:uid>/samples/", runs.run_samples, name="run_samples"),
    path("runs/<uuid:uid>/samples/<str:name>", runs.run_sample, name="run_sample"),
    path("runs/<uuid:uid>/go-on/", runs.run_go_on, name="run_go_on"),
    path("runs/<uuid:uid>/keep/", runs.run_keep, name="run_keep"),
    path("trained-editors/<str:slug>/", runs.trained_editor, name="trained_editor"),
    path("trained-editors/<str:slug>/file/", runs.trained_editor_file, name="trained_editor_file"),
    # Sweeps: grids of runs
    path("sweeps/", sweeps.sweeps, name="sweeps"),
    path("sweeps/new/", sweeps.new_sweep, name="new_sweep"),
    path("sweeps/of/<slug:slug>/", sweeps.sweep, name="sweep"),
    path("sweeps/of/<slug:slug>/now/", sweeps.sweep_now, name="sweep_now"),
    path("sweeps/of/<slug:slug>/table.csv", sweeps.sweep_table, name="sweep_table"),
    path("sweeps/of/<slug:slug>/cancel/", sweeps.sweep_cancel, name="sweep_cancel"),
    path("sweeps/of/<slug:slug>/resume/", sweeps.sweep_resume, name="sweep_resume"),
    path("sweeps/of/<slug:slug>/delete/", sweeps.delete_sweep, name="delete_sweep"),
    # Benchmarks of editors
    path("editor-benchmarks/", editor_benchmarks.editor_benchmarks, name="editor_benchmarks"),
    path("editor-benchmarks/new/", editor_benchmarks.new_editor_benchmark, name="new_editor_benchmark"),
    path("editor-benchmarks/of/<slug:slug>/", editor_benchmarks.editor_benchmark, name="editor_benchmark"),
    path("editor-benchmarks/of/<slug:slug>/now/", editor_benchmarks.editor_benchmark_now, name="editor_benchmark_now"),
    path(
        "editor-benchmarks/of/<slug:slug>/fill/",
        editor_benchmarks.fill_editor_benchmark,
        name="fill_editor_benchmark",
    ),
    path(
        "editor-benchmarks/of/<slug:slug>/editors/",
        editor_benchmarks.change_editor_benchmark,
        name="change_editor_benchmark",
    ),
    path(
        "editor-benchmarks/of/<slug:slug>/gallery/",
        editor_benchmarks.editor_benchmark_gallery,
        name="editor_benchmark_gallery",
    ),
    path(
        "editor-benchmarks/of/<slug:slug>/table.csv",
        editor_benchmarks.editor_benchmark_table,
        name="editor_benchmark_table",
    ),
    path(
        "editor-benchmarks/of/<slug:slug>/delete/",
        editor_benchmarks.delete_editor_benchmark,
        name="delete_editor_benchmark",
    ),
    # Blind proofs of trained editors
    path("proofs/", proof.proofs, name="proofs"),
    path("proofs/new/<str:slug>/", proof.new_proof, name="new_proof"),
    path("proofs/<uuid:uid>/", proof.proof, name="proof"),
    path("proofs/<uuid:uid>/now/", proof.proof_now, name="proof_now"),
    path("proofs/<uuid:uid>/begin/", proof.proof_begin, name="proof_begin"),
    path("proofs/<uuid:uid>/pairs/", proof.proof_pairs, name="proof_pairs"),
    path("proofs/<uuid:uid>/pairs.csv", proof.proof_table, name="proof_table"),
]
