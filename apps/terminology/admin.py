"""The network's codes in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display

from apps.terminology.models import Code, CodeMap, CodeSystem, DataType


class Kept(ModelAdmin):
    """Documents carry these codes for decades: rows are switched off, never deleted."""

    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(DataType)
class DataTypeAdmin(Kept):
    """Which SS-MIX2 data types become documents."""

    list_display = ("code", "display_ja", "display_en", "shown_rule", "registered")
    list_editable = ("registered",)
    list_filter = ("registered", "rule")
    search_fields = ("code", "display_ja", "display_en")
    search_help_text = _("Data type or name")
    readonly_fields = ("rule",)

    @display(
        description=_("recommendation"),
        ordering="rule",
        label={"default": "success", "choice": "info", "never": "default"},
    )
    def shown_rule(self, row: DataType) -> tuple[str, str]:
        return row.rule, row.get_rule_display()


@admin.register(Code)
class CodeAdmin(Kept):
    """Codes of all code systems."""

    list_display = ("code", "display_ja", "display_en", "system", "enabled")
    list_filter = ("system", "enabled")
    list_select_related = ("system",)
    search_fields = ("code", "display_ja", "display_en")
    search_help_text = _("Code or name")
    autocomplete_fields = ("system",)


@admin.register(CodeMap)
class CodeMapAdmin(Kept):
    """What the network calls a data type, a department, a kind of facility."""

    list_display = ("key", "kind", "code", "enabled")
    list_filter = ("kind", "enabled")
    list_select_related = ("code", "code__system")
    search_fields = ("key", "code__code", "code__display_ja")
    search_help_text = _("Key, code or name")
    autocomplete_fields = ("code",)


@admin.register(CodeSystem)
class CodeSystemAdmin(Kept):
    """Coding schemes."""

    list_display = ("name", "scheme")
    search_fields = ("name", "scheme")
    search_help_text = _("Name or scheme")
