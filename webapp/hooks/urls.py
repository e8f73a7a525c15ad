from django.urls import path

from webapp.hooks import views

urlpatterns = [
    path("webhooks/", views.webhooks, name="webhooks"),
    path("webhooks/<uuid:uid>/", views.webhook, name="webhook"),
    path("webhooks/<uuid:uid>/switch/", views.switch, name="webhook_switch"),
    path("webhooks/<uuid:uid>/test/", views.test, name="webhook_test"),
    path("webhooks/<uuid:uid>/delete/", views.delete, name="webhook_delete"),
    path("webhooks/deliveries/<uuid:uid>/", views.redeliver, name="webhook_redeliver"),
]
