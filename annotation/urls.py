from django.urls import path

from annotation.views import library, studies, work

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
    path("cases/<uuid:uid>/", library.case, name="case"),
    path("images/<uuid:uid>.webp", library.image, name="image"),
    path("attribution/", library.attribution, name="attribution"),
    path("studies/new/", studies.new, name="new_study"),
    path("studies/<uuid:uid>/state/", studies.change_state, name="study_state"),
    path("studies/<uuid:uid>/members/", studies.members, name="study_members"),
    path("studies/<uuid:uid>/members/<int:pk>/remove/", studies.remove_member, name="study_remove_member"),
]
