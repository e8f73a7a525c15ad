from django.urls import path

from webapp.accounts import token_views, views

urlpatterns = [
    path("people/", views.people, name="people"),
    path("people/<int:pk>/", views.change_person, name="change_person"),
    path("people/invitations/<uuid:uid>/withdraw/", views.withdraw_invitation, name="withdraw_invitation"),
    path("invitation/<str:token>/", views.accept_invitation, name="accept_invitation"),
    path("tokens/", token_views.tokens, name="tokens"),
    path("tokens/<uuid:uid>/revoke/", token_views.revoke, name="revoke_token"),
]
