from django.urls import path

from annotation.views import categories, library, studies, work

urlpatterns = [
    path("work/", work.my_work, name="work"),
    path("work/<uuid:uid>/", work.workplace, name="workplace"),
    path("work/<uuid:uid>/next/", work.next_items, name="work_next"),
    path("work/<uuid:uid>/events/", work.events, name="work_events"),
    path("work/<uuid:uid>/back/", work.back, name="work_back"),
    path("work/image/<uuid:uid>/<str:letter>.webp", work.image, name="work_image"),
    path("datasets/", library.datasets, name="datasets"),
    path("datasets/new/", library.new_import, name="new_import"),
    path("datasets/<uuid:uid>/", library.dataset, name="dataset"),
    path("datasets/<uuid:uid>/import/", library.import_into, name="import_into"),
    path("datasets/<uuid:uid>/candidates/", library.candidates, name="dataset_candidates"),
    path("datasets/<uuid:uid>/statistics/", library.statistics_page, name="statistics"),
    path("datasets/<uuid:uid>/categories/", categories.categories, name="categories"),
    path("datasets/<uuid:uid>/duplicates/", categories.duplicates, name="duplicates"),
    path("datasets/<uuid:uid>/hash/", categories.hash_sources, name="hash_sources"),
    path("datasets/<uuid:uid>/tagging/", categories.tagging_page, name="tagging"),
    path("datasets/<uuid:uid>/tagging/events/", categories.tagging_events, name="tagging_events"),
    path("datasets/<uuid:uid>/balance/", categories.balance, name="balance"),
    path("datasets/<uuid:uid>/splits/", categories.splits, name="splits"),
    path("cases/<uuid:uid>/", library.case, name="case"),
    path("cases/<uuid:uid>/compare/", library.compare, name="compare"),
    path("candidates/<uuid:uid>/", library.candidate, name="candidate"),
    path("images/<uuid:uid>.webp", library.image, name="image"),
    path("attribution/", library.attribution, name="attribution"),
    path("studies/new/", studies.new, name="new_study"),
    path("studies/<uuid:uid>/state/", studies.change_state, name="study_state"),
    path("studies/<uuid:uid>/members/", studies.members, name="study_members"),
    path("studies/<uuid:uid>/members/<int:pk>/remove/", studies.remove_member, name="study_remove_member"),
]
