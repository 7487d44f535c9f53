"""What a person types into the admin site: My Numbers and resident record codes are refused in every form and search.

Before any view sees it: what reached a view could be kept, or searched for, and so lie in the audit log. Passwords are
looked at by nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from apps.ids.rules import detect_national_number

_SECRET = "password"  # noqa: S105 - part of a field's name


class NationalNumbersRefused:
    """Middleware: answers 422 to such an entry, and says in which field; the browser's way back keeps the rest."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponse | None:
        """The refusal, or None where there is nothing to refuse. Texts come from the query and from the form."""
        match = request.resolver_match
        if match is None or "admin" not in match.app_names:
            return None
        field = next((name for name, text in _typed(request) if _is_refused(name, text)), None)
        return None if field is None else _refusal(request, field)


def _typed(request: HttpRequest) -> Iterator[tuple[str, str]]:
    for entries in (request.GET, request.POST if request.method == "POST" else {}):
        for name, texts in entries.lists() if hasattr(entries, "lists") else ():
            yield from ((name, text) for text in texts if _SECRET not in name)


def _is_refused(name: str, text: str) -> bool:
    kind = "name" if "name" in name.lower() or "kana" in name.lower() else "words"
    suspect = detect_national_number(text, kind)
    return suspect is not None and suspect.refused


def _refusal(request: HttpRequest, field: str) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": _("Not taken"),
        "field": _("the search") if field == "q" else capfirst(_(field.replace("_", " "))),
    }
    return TemplateResponse(request, "admin/national_number.html", context, status=422)
