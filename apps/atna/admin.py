"""The audit log in the admin, and ``AuditedAdmin``, by which every screen with patient data leaves its own record."""

from __future__ import annotations

import logging
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db import DatabaseError, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from lxml import etree
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apps.atna.models import Action, AuditRecord, Outcome
from apps.atna.queries import of_message, of_patient, search
from apps.atna.services import record_view, viewer_of
from apps.network.queries import facilities, facility
from hie.exchange.audit import AUDIT_LOG_USED, CREATE, DELETE, EXECUTE, PATIENT_RECORD, QUERY, READ, UPDATE
from hie.exchange.registry import transactions
from hie.values.access import Subject
from hie.values.audit import SEARCH_CRITERIA, URI_TYPE, AuditMessage, ParticipantObject
from hie.values.codes import Code
from hie.values.identifiers import masked
from hie.wire.atna.audit_message import read_message

log = logging.getLogger("hie.atna")

EVENT_NAMES = {
    "110100": _("Application activity"),
    "110101": _("Audit log used"),
    "110106": _("Export"),
    "110107": _("Import"),
    "110110": _("Patient record"),
    "110112": _("Query"),
    "110113": _("Security alert"),
    "110114": _("User authentication"),
}


class ReadOnly:
    """For an admin or inline of rows that this system writes: looked at, by nobody added, changed or deleted."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class AuditedAdmin(ModelAdmin):
    """A ModelAdmin whose every view is recorded before the response leaves; unrecorded, it shows nothing (503).

    A subclass names the patients of a row in ``subjects_of``: each patient shown gets a record of its own. Reads are
    recorded with what was searched for, changes together with their database transaction.
    """

    list_event: Code = QUERY
    list_action = EXECUTE
    read_event: Code = PATIENT_RECORD

    def subjects_of(self, row: Any) -> Iterable[Subject]:
        """The patients that this row is about; none by default."""
        return ()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return self._audited(
            request,
            lambda: super(AuditedAdmin, self).changelist_view(request, extra_context),
            lambda response: self._record_list(request, response),
        )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        written = CREATE if object_id is None else UPDATE
        return self._audited(
            request,
            lambda: super(AuditedAdmin, self).changeform_view(request, object_id, form_url, extra_context),
            lambda response: self._record_row(request, object_id, response, written),
        )

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        return self._audited(
            request,
            lambda: super(AuditedAdmin, self).history_view(request, object_id, extra_context),
            lambda response: self._record_row(request, object_id, response, READ),
        )

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        before = self._subjects(self.get_object(request, unquote(object_id)))
        return self._audited(
            request,
            lambda: super(AuditedAdmin, self).delete_view(request, object_id, extra_context),
            lambda response: self._record_row(request, object_id, response, DELETE, before),
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Searched from elsewhere than the list, as by an autocomplete field, the search is recorded here."""
        found = super().get_search_results(request, queryset, search_term)
        match = request.resolver_match
        if match is not None and match.url_name == "autocomplete":
            self.record(request, self.list_event, self.list_action, gettext("look-up"), search=search_term)
        return found

    def record(
        self,
        request: HttpRequest,
        event_id: Code,
        action: str,
        what: str,
        subjects: tuple[Subject, ...] = (),
        *,
        search: str = "",
        object_id: str = "",
    ) -> None:
        """Keep the record of one look: subclasses with views of their own call it before they answer."""
        record_view(
            viewer_of(request),
            f"{self.opts.verbose_name}: {what}" + (f" {object_id}" if object_id else ""),
            subjects,
            event_id=event_id,
            action=action,
            objects=self._objects(request, search),
            address=request.build_absolute_uri(request.path),
        )

    def audited_work(self, request: HttpRequest, work: Any, what: str, row: Any) -> Any:
        """Do a change that a subclass offers beside the form, and keep its record with it; work: () -> response."""
        return self._audited(
            request,
            work,
            lambda response: self.record(
                request, self.read_event, UPDATE, what, self._subjects(row), object_id=str(row.pk)
            ),
        )

    def _objects(self, request: HttpRequest, search: str) -> tuple[ParticipantObject, ...]:
        if not search:
            return ()
        return (ParticipantObject(request.path, SEARCH_CRITERIA, type_code=2, role=24, query=search.encode()),)

    def _audited(self, request: HttpRequest, view: Any, record: Any) -> Any:
        """Run the view; a change and its record are committed together. PermissionDenied and Http404 pass."""
        try:
            if request.method in ("GET", "HEAD", "OPTIONS"):
                response = view()
                record(response)
                return response
            with transaction.atomic():
                response = view()
                record(response)
                return response
        except (DatabaseError, OSError):
            log.exception("a screen of %s was not shown", self.opts.label)
            return _not_recorded()

    def _record_list(self, request: HttpRequest, response: HttpResponseBase) -> None:
        change_list = (getattr(response, "context_data", None) or {}).get("cl")
        rows = list(change_list.result_list) if change_list is not None else []
        subjects = tuple(dict.fromkeys(subject for row in rows for subject in self._subjects(row)))
        search = request.META.get("QUERY_STRING", "")
        what = gettext("list")
        if request.method == "POST":
            what = request.POST.get("action", "") or what
            search = "&".join(
                [search, *(f"_selected_action={each}" for each in request.POST.getlist("_selected_action"))]
            )
        self.record(request, self.list_event, self.list_action, what, subjects, search=search)

    def _record_row(
        self,
        request: HttpRequest,
        object_id: str | None,
        response: HttpResponseBase,
        written: str,
        subjects: tuple[Subject, ...] | None = None,
    ) -> None:
        """A redirect after POST means that it was written; everything else only showed the row."""
        row = self.get_object(request, unquote(object_id)) if object_id else None
        changed = request.method == "POST" and response.status_code == 302
        if subjects is None:
            subjects = self._subjects(row)
        self.record(
            request,
            self.read_event,
            written if changed else READ,
            gettext("record"),
            subjects,
            object_id=unquote(object_id) if object_id else "",
        )

    def _subjects(self, row: Any) -> tuple[Subject, ...]:
        return tuple(self.subjects_of(row)) if row is not None else ()


def _not_recorded() -> HttpResponse:
    return HttpResponse(
        gettext("This page could not be recorded in the audit log, so it is not shown. Please try again."),
        status=503,
        content_type="text/plain; charset=utf-8",
    )


def _any_or(choices: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    return [("", _("all")), *choices]


class SearchForm(forms.Form):
    """What the audit log is searched by beside the patient. Times are local, to the minute."""

    _MOMENT = {"type": "datetime-local"}
    since = forms.DateTimeField(label=_("from"), required=False, widget=UnfoldAdminTextInputWidget(attrs=_MOMENT))
    until = forms.DateTimeField(label=_("until"), required=False, widget=UnfoldAdminTextInputWidget(attrs=_MOMENT))
    facility = forms.ChoiceField(
        label=_("facility"),
        required=False,
        widget=UnfoldAdminSelectWidget,
        choices=lambda: _any_or((each.code, f"{each.name} ({each.code})") for each in facilities()),
    )
    transaction = forms.ChoiceField(
        label=_("transaction"),
        required=False,
        widget=UnfoldAdminSelectWidget,
        choices=lambda: _any_or(dict.fromkeys((each.number, f"{each.number} {each.name}") for each in transactions())),
    )
    event_id = forms.ChoiceField(
        label=_("event"),
        required=False,
        widget=UnfoldAdminSelectWidget,
        choices=lambda: _any_or(EVENT_NAMES.items()),
    )
    outcome = forms.TypedChoiceField(
        label=_("outcome"),
        required=False,
        coerce=int,
        empty_value=None,
        widget=UnfoldAdminSelectWidget,
        choices=lambda: _any_or(Outcome.choices),
    )


class SearchFilter(admin.ListFilter):
    """The search form beside the list. What cannot be read as asked finds nothing, rather than everything."""

    title = _("search")
    template = "atna/search_filter.html"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: type[Model], model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        for name in SearchForm.base_fields:
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1]
        self.form = SearchForm(self.used_parameters)

    def expected_parameters(self) -> list[str | None]:
        return [*SearchForm.base_fields]

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        yield {"form": self.form}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset & search(**self.form.cleaned_data) if self.form.is_valid() else queryset.none()


@admin.register(AuditRecord)
class AuditRecordAdmin(ReadOnly, AuditedAdmin):
    """The audit log: read, never written, by nobody. Looking at it is recorded as use of the audit log (110101)."""

    list_event = read_event = AUDIT_LOG_USED
    list_action = READ
    list_display = ("occurred_at", "event", "shown_outcome", "facility", "caller_name", "person_user_id", "patient")
    list_filter = (SearchFilter,)
    list_filter_submit = True
    search_fields = ("patient_regional_id",)  # makes the search box; get_search_results decides what it means
    search_help_text = _("Chart number, identifier as sent, regional ID, or the number of a record or message")
    list_per_page = 50
    show_full_result_count = False
    actions = None
    ordering = ("-occurred_at", "-id")
    fieldsets = (
        (_("What happened"), {"fields": ("occurred_at", "event", "shown_action", "shown_outcome", "description")}),
        (_("Who"), {"fields": ("facility", "caller_name", "person_user_id", "purpose", "remote_address")}),
        (_("Whose data"), {"fields": ("patient", "shown_identifier")}),
        (_("Participants and objects"), {"fields": ("participants", "objects")}),
        (_("The record"), {"fields": ("id", "trail_uuid", "shown_message")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        records = super().get_queryset(request)
        match = request.resolver_match
        return records.defer("message") if match and match.url_name == "atna_auditrecord_changelist" else records

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip()
        if not text:
            return queryset, False
        if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
            return queryset.filter(of_message(UUID(text))), False
        return queryset.filter(of_patient(text)), False

    def _objects(self, request: HttpRequest, search: str) -> tuple[ParticipantObject, ...]:
        log = ParticipantObject(
            request.build_absolute_uri(request.path), URI_TYPE, type_code=2, role=13, name="Security Audit Log"
        )
        return (log, *super()._objects(request, search))

    @admin.display(description=_("event"), ordering="transaction")
    def event(self, row: AuditRecord) -> str:
        name = str(EVENT_NAMES.get(row.event_id, row.event_id))
        return f"{row.transaction} {name}".strip()

    @admin.display(description=_("outcome"), ordering="outcome")
    def shown_outcome(self, row: AuditRecord) -> str:
        return str(Outcome(row.outcome).label) if row.outcome in Outcome.values else str(row.outcome)

    @admin.display(description=_("action"))
    def shown_action(self, row: AuditRecord) -> str:
        return str(Action(row.action).label) if row.action in Action.values else row.action

    @admin.display(description=_("facility"), ordering="facility_code")
    def facility(self, row: AuditRecord) -> str:
        found = facility(row.facility_code) if row.facility_code else None
        return f"{found.name} ({found.code})" if found else row.facility_code

    @admin.display(description=_("regional ID"))
    def patient(self, row: AuditRecord) -> str:
        return masked(row.patient_regional_id)

    @admin.display(description=_("patient as sent"))
    def shown_identifier(self, row: AuditRecord) -> str:
        return _without_regional_ids(row.patient_identifier, row)

    @admin.display(description=_("participants"))
    def participants(self, row: AuditRecord) -> str:
        return format_html_join(
            "",
            "<div>{} {} {} {}</div>",
            (
                (each.user_id, each.user_name, each.access_point, ", ".join(role.display for role in each.roles))
                for each in _read(row).participants
            ),
        )

    @admin.display(description=_("objects"))
    def objects(self, row: AuditRecord) -> str:
        return format_html_join(
            "",
            "<div>{}: {}</div>",
            ((each.id_type.display, _without_regional_ids(each.object_id, row)) for each in _read(row).objects),
        )

    @admin.display(description=_("audit message (base64 decoded, regional IDs masked)"))
    def shown_message(self, row: AuditRecord) -> str:
        return format_html('<pre style="white-space: pre-wrap; overflow-wrap: anywhere">{}</pre>', _pretty(row))


def _read(row: AuditRecord) -> AuditMessage:
    return read_message(bytes(row.message))


def _pretty(row: AuditRecord) -> str:
    """The message indented, with its base64 values as text; no regional ID can be read from it."""
    root = etree.fromstring(
        bytes(row.message), etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    )
    for element in root.iter("ParticipantObjectQuery"):
        element.text = _as_text(element.text or "")
    for element in root.iter("ParticipantObjectDetail"):
        element.set("value", _as_text(element.get("value", "")))
    etree.indent(root)
    return _without_regional_ids(etree.tostring(root, encoding="unicode"), row)


def _as_text(encoded: str) -> str:
    text = b64decode(encoded).decode("utf-8", "replace")
    return "".join(character if character.isprintable() or character in "\n\t" else "\n" for character in text)


def _without_regional_ids(text: str, row: AuditRecord) -> str:
    """Mask the record's own regional ID, and whatever stands before the authority of the regional IDs."""
    if row.patient_regional_id:
        text = text.replace(row.patient_regional_id, masked(row.patient_regional_id))
    pattern = rf"([^\s\"'<>|^~]+)(?=\^\^\^[^\s\"'<>|^~]*{re.escape(settings.AFFINITY_DOMAIN_OID)}(?![.\d]))"
    return re.sub(pattern, lambda found: masked(found.group(1)), text)
