"""Assigning authorities and communities."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.network.admin.members import Kept
from apps.network.models import AssigningAuthority, Community


@admin.register(AssigningAuthority)
class AssigningAuthorityAdmin(Kept):
    """Who assigns identifiers."""

    list_display = ("name", "namespace", "oid", "facility", "shown_role")
    list_select_related = ("facility",)
    search_fields = ("name", "namespace", "oid", "facility__code")
    search_help_text = _("Name, namespace, OID or facility code")
    autocomplete_fields = ("facility",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("oid",) if obj else ()

    @display(description=_("role"), label={"domain": "info", "facility": "default"})
    def shown_role(self, row: AssigningAuthority) -> tuple[str, str]:
        return (
            ("domain", gettext("regional identifiers"))
            if row.is_affinity_domain
            else ("facility", gettext("chart numbers"))
        )


@admin.register(Community)
class CommunityAdmin(Kept):
    """Our own network and the others."""

    list_display = ("name", "home_community_oid", "is_own", "enabled")
    list_filter = ("enabled",)
    search_fields = ("name", "home_community_oid")
    search_help_text = _("Name or OID")
    fieldsets = (
        (None, {"fields": ("name", "home_community_oid", "is_own", "enabled")}),
        (_("Gateway"), {"fields": ("discovery_address", "query_address", "retrieve_address")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("is_own", "home_community_oid") if obj else ("is_own",)
