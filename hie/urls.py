"""What people reach over HTTP. The machine doors are mounted in front of it (hie/wsgi.py)."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from hie.overview import OverviewView, healthz

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/overview", OverviewView.as_view(), name="overview"),
    path("healthz", healthz, name="healthz"),
    path("i18n/", include("django.conf.urls.i18n")),
]
