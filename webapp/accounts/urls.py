from django.urls import path

from webapp.accounts import views

urlpatterns = [
    path("people/", views.people, name="people"),
    path("people/<int:pk>/", views.change_person, name="change_person"),
    path("people/invitations/<uuid:uid>/withdraw/", views.withdraw_invitation, name="withdraw_invitation"),
    path("invitation/<str:token>/", views.accept_invitation, name="accept_invitation"),
]
