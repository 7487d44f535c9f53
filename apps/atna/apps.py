"""Audit records: kept, searched (ITI-19, ITI-20)."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AtnaConfig(AppConfig):
    name = "apps.atna"
    label = "atna"
    verbose_name = _("Audit")

    def ready(self) -> None:
        """Record every sign-in, sign-out and failed sign-in of the admin; one that cannot be recorded fails."""
        from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed

        user_logged_in.connect(_signed_in, dispatch_uid="atna")
        user_logged_out.connect(_signed_out, dispatch_uid="atna")
        user_login_failed.connect(_refused, dispatch_uid="atna")


def _signed_in(request: Any, user: Any, **_: Any) -> None:
    from apps.atna.services import record_sign_in

    record_sign_in(_viewer(request, user.get_username(), user.get_full_name()))


def _signed_out(request: Any, user: Any, **_: Any) -> None:
    from apps.atna.services import record_sign_out

    if user is not None:
        record_sign_out(_viewer(request, user.get_username(), user.get_full_name()))


def _refused(credentials: Any, request: Any = None, **_: Any) -> None:
    from apps.atna.services import record_sign_in

    record_sign_in(_viewer(request, str(credentials.get("username") or "unknown"), ""), succeeded=False)


def _viewer(request: Any, user_id: str, name: str) -> Any:
    from apps.atna.services import Viewer

    return Viewer(user_id, name, request.META.get("REMOTE_ADDR", "") if request is not None else "")
