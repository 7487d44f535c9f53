"""What people reach over HTTP. The machine doors are mounted in front of it (hie/wsgi.py)."""

from django.contrib import admin
from django.urls import path

urlpatterns = [
    path("admin/", admin.site.urls),
]
