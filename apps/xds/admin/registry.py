"""The registry as an administrator sees it: looked at, never changed; every look is recorded (``AuditedAdmin``).

Regional ids are masked. A search finds one patient, one document or one submission by its exact id, or the associations
of one object, so that it is a point or a range of an index however large the registry is.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminTextInputWidget

from apps.atna.admin import AuditedAdmin, ReadOnly
from apps.xds.models import (
    Association,
    DocumentEntry,
    Folder,
    RegistryRow,
    SubmissionSet,
    shard_key_of,
)
from apps.xds.queries.figures import LONGEST, Figures, figures
from apps.xds.queries.picture import COLUMNS, HEIGHT, WIDTH, Box, Picture, of_patient, of_submission, patients_of
from apps.xds.queries.wording import worded_code, worded_facility
from apps.xds.rules import subjects_of_patients
from hie.exchange.audit import READ
from hie.values.access import Subject
from hie.values.documents import DocumentEntry as Entry
from hie.values.identifiers import masked
from hie.values.times import JST, read_dtm
from hie.wire.ebxml.fragments import read_fragment


class ReasonForm(forms.Form):
    """Why an administrator looks."""

    reason = forms.CharField(label=_("Reason"), max_length=200, widget=UnfoldAdminTextInputWidget)


class PeriodForm(forms.Form):
    """The days that figures are of, both included."""

    first = forms.DateField(label=_("from"), widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}))
    last = forms.DateField(label=_("until"), widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("first") and cleaned.get("last") and cleaned["first"] > cleaned["last"]:
            raise forms.ValidationError(_("The first day has to be before the last one."))
        if cleaned.get("first") and cleaned.get("last") and (cleaned["last"] - cleaned["first"]).days >= LONGEST:
            raise forms.ValidationError(_("At most %(days)s days at once."), params={"days": LONGEST})
        return cleaned


class RegistryAdmin(ReadOnly, AuditedAdmin):
    """What the screens of all registry objects share."""

    actions = None
    actions_detail: Any = ("picture",)
    list_filter: Any = ("status",)
    list_per_page = 50
    show_full_result_count = False
    paginator = InfinitePaginator
    ordering = ("-id",)
    sortable_by = ("registered",)  # any other order would read the whole table before its first row
    search_fields = ("patient_id",)  # makes the search box; get_search_results decides what it means
    search_help_text = _("Regional ID, entry UUID or unique ID, complete")

    def subjects_of(self, row: RegistryRow) -> Iterable[Subject]:
        return subjects_of_patients((row.patient_id,))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("fragment")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip()
        if not text:
            return queryset, False
        found = Q(shard_key=shard_key_of(text), patient_id=text) | Q(entry_uuid=text)
        columns = {field.name for field in self.model._meta.get_fields()}
        for name in columns & {"unique_id", "source_uuid", "target_uuid"}:
            found |= Q(**{name: text})
        return queryset.filter(found), False

    @action(description=_("Patient's documents"), url_path="picture", icon="schema", permissions=["view"])
    def picture(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Everything of the patient (of a submission set: of the submission), once a reason is given; recorded."""
        row = get_object_or_404(self.model, pk=object_id)
        form = ReasonForm(request.POST or None)
        back = reverse(f"admin:xds_{self.opts.model_name}_change", args=[object_id])
        context = {**self.admin_site.each_context(request), "opts": self.opts, "form": form, "back": back}
        context["title"] = gettext("Submission") if self.model is SubmissionSet else gettext("Patient's documents")
        if request.method != "POST" or not form.is_valid():
            return TemplateResponse(request, "xds/picture.html", context)
        drawn = of_submission(row) if isinstance(row, SubmissionSet) else of_patient(row.patient_id)
        what = f"{context['title']} ({form.cleaned_data['reason']})"

        def record(_response: HttpResponse) -> None:
            subjects = subjects_of_patients(dict.fromkeys((row.patient_id, *patients_of(drawn))))
            self.record(request, self.read_event, READ, what, subjects, object_id=str(object_id))

        context |= {"picture": drawn, "patient": masked(row.patient_id), **_shown(drawn)}
        return cast(
            HttpResponse,
            self._audited(request, lambda: TemplateResponse(request, "xds/picture.html", context), record),
        )

    @admin.display(description=_("patient"))
    def patient(self, row: RegistryRow) -> str:
        return masked(row.patient_id)

    @admin.display(description=_("registered at"), ordering="id")
    def registered(self, row: RegistryRow) -> str:
        return moment(row.registered_at)

    @admin.display(description=_("facility"), ordering="facility_code")
    def its_facility(self, row: RegistryRow) -> str:
        return str(worded_facility(row.facility_code))


def _name(stored: str) -> SafeString:
    """The name of a code in a narrow column, the code itself where the pointer rests on it."""
    worded = worded_code(stored)
    return format_html('<span title="{}">{}</span>', worded.code, worded.name)


def _names(column: str, description: Any) -> Any:
    """A field of a page that gives the codes of a column (one a line) by their names, with what they stand for."""

    @admin.display(description=description)
    def named(row: RegistryRow) -> str:
        return "\n".join(str(worded_code(each)) for each in getattr(row, column).splitlines()) or "—"

    return named


def _person(xcn: str) -> str:
    """The name in an XCN, with the number of the person where it has one: ``山田 太郎 (7)``."""
    number, family, given = (*xcn.split("^"), "", "", "")[:3]
    name = f"{family} {given}".strip()
    return f"{name} ({number})" if name and number else name or number


def _institution(xon: str) -> str:
    """The name in an XON, with its number where it has one."""
    parts = (*xon.split("^"), *[""] * 10)
    return f"{parts[0]} ({parts[9]})" if parts[9] else parts[0]


MOST_RELATIONS = 200  # on the page of one document

_FILLS = {"submissionset": "#7c3aed", "documententry": "#0891b2", "folder": "#b45309"}


def _shown(drawn: Picture) -> dict[str, Any]:
    """What the page shows of a picture: boxes with their addresses and words, columns, the table of documents."""
    boxes = [_shown_box(each) for each in drawn.boxes]
    columns = [(capfirst(str(model._meta.verbose_name_plural)), x) for model, x in COLUMNS.items()]
    columns_of_table = (_("title"), _("facility"), _("type"), _("registered at"), _("version"), _("status"))
    headings = [capfirst(str(each)) for each in columns_of_table]
    documents = [each for each in boxes if each["kind"] == "documententry"]
    return {
        "boxes": boxes, "columns": columns, "headings": headings, "documents": documents, "width": WIDTH,
        "height": HEIGHT,
    }  # fmt: skip


def _shown_box(box: Box) -> dict[str, Any]:
    state = box.row.get_status_display()
    day = timezone.localtime(box.row.registered_at, JST).strftime("%Y-%m-%d")
    return {
        "x": box.x, "y": box.y, "text_x": box.x + 12, "first_y": box.y + 22, "second_y": box.y + 41,
        "short": box.short, "title": box.title, "deprecated": box.deprecated, "row": box.row, "kind": box.kind,
        "url": reverse(f"admin:xds_{box.kind}_change", args=[box.row.pk]),
        "label": f"{box.row._meta.verbose_name}: {box.title}, {day}, {state}",
        "below": f"{day} · {state}",
        "fill": _FILLS[box.kind],
        "facility": str(worded_facility(box.row.facility_code)),
        "type": _name(box.row.type_code) if isinstance(box.row, DocumentEntry) else "",
    }  # fmt: skip


def moment(at: datetime) -> str:
    return timezone.localtime(at, JST).strftime("%Y-%m-%d %H:%M")


def _local(time: str) -> str:
    """A time of the registry as a person in Japan reads it, "" where there is none."""
    read = read_dtm(time)
    return moment(read) if read else ""


def _as_csv(counted: Figures) -> HttpResponse:
    """UTF-8 with a byte order mark, by which spreadsheets know it. A name is never taken for a formula."""
    response = HttpResponse("\ufeff", content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="documents-{counted.first}-{counted.last}.csv"'
    writer = csv.writer(response)
    writer.writerow(("by", "name", "code", "documents"))
    writer.writerows((what, _cell(name), _cell(code), count) for what, name, code, count in counted.lines())
    return response


def _cell(text: str) -> str:
    return f"'{text}" if text[:1] in tuple("=+-@\t\r") else text


@admin.register(DocumentEntry)
class DocumentEntryAdmin(RegistryAdmin):
    """Documents."""

    actions_list = ("figures",)
    list_display = ("title", "patient", "its_facility", "care", "created", "type", "status", "registered")
    list_filter = ("status", "object_type")
    fieldsets = (
        (
            _("Document"),
            {"fields": ("title", "patient", "its_facility", "authors", "status", "object_type", "mime_type", "size")},
        ),
        (
            _("Codes"),
            {
                "fields": (
                    _names("class_code", _("class code")),
                    _names("type_code", _("type code")),
                    _names("format_code", _("format code")),
                    _names("event_codes", _("event codes")),
                    _names("confidentiality_codes", _("confidentiality codes")),
                    _names("healthcare_facility_type_code", _("facility type")),
                    _names("practice_setting_code", _("practice setting")),
                )
            },
        ),
        (_("Times"), {"fields": ("care", "created", "registered_at")}),
        (
            _("Identifiers"),
            {"fields": ("entry_uuid", "logical_id", "version", "unique_id", "repository_unique_id", "hash", "content")},
        ),
        (_("Related objects"), {"fields": ("relations",)}),
    )

    @action(description=_("Figures"), url_path="figures", icon="bar_chart", permissions=["view"])
    def figures(self, request: HttpRequest) -> HttpResponse:
        """Documents by facility, type and day; no patient is in it."""
        today = timezone.localtime(timezone.now(), JST).date()
        period = {"first": today - timedelta(days=29), "last": today}
        form = PeriodForm(request.GET if "first" in request.GET else period)
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": gettext("Figures")}
        if not form.is_valid():
            return TemplateResponse(request, "xds/figures.html", {**context, "form": form})
        counted = figures(form.cleaned_data["first"], form.cleaned_data["last"])
        if request.GET.get("format") == "csv":
            return _as_csv(counted)
        tables = (
            (gettext("By facility"), counted.by_facility),
            (gettext("By type"), counted.by_type),
            (gettext("By day"), counted.by_day),
        )
        return TemplateResponse(
            request, "xds/figures.html", {**context, "form": form, "figures": counted, "tables": tables}
        )

    @admin.display(description=_("type"), ordering="type_code")
    def type(self, row: DocumentEntry) -> SafeString:
        return _name(row.type_code)

    @admin.display(description=_("care from"), ordering="service_start_time")
    def care(self, row: DocumentEntry) -> str:
        return _local(row.service_start_time)

    @admin.display(description=_("created at"), ordering="creation_time")
    def created(self, row: DocumentEntry) -> str:
        return _local(row.creation_time)

    @admin.display(description=_("authors"))
    def authors(self, row: DocumentEntry) -> str:
        kept = read_fragment(bytes(row.fragment))
        assert isinstance(kept, Entry)
        named = ((_person(author.person), *map(_institution, author.institutions)) for author in kept.authors)
        return "\n".join(part for parts in named for part in parts if part)

    @admin.display(description=_("associations"))
    def relations(self, row: DocumentEntry) -> str:
        found = Association.objects.filter(Q(source_uuid=row.entry_uuid) | Q(target_uuid=row.entry_uuid))
        shown = list(found.defer("fragment").order_by("id")[: MOST_RELATIONS + 1])
        lines = [
            f"{each.source_uuid} {each.association_type.rpartition(':')[2]} {each.target_uuid}"
            for each in shown[:MOST_RELATIONS]
        ]
        if len(shown) > MOST_RELATIONS:
            lines.append(gettext("There are more; the first %(count)s are shown.") % {"count": MOST_RELATIONS})
        return "\n".join(lines)


@admin.register(SubmissionSet)
class SubmissionSetAdmin(RegistryAdmin):
    """Submissions."""

    list_display = ("unique_id", "patient", "its_facility", "submitted", "type", "status")
    fields = (
        "title",
        "patient",
        "its_facility",
        "submitted",
        _names("content_type_code", _("content type")),
        "source_id",
        "status",
        "entry_uuid",
        "unique_id",
        "registered_at",
    )

    @admin.display(description=_("content type"), ordering="content_type_code")
    def type(self, row: SubmissionSet) -> SafeString:
        return _name(row.content_type_code)

    @admin.display(description=_("submitted at"), ordering="submission_time")
    def submitted(self, row: SubmissionSet) -> str:
        return _local(row.submission_time)


@admin.register(Folder)
class FolderAdmin(RegistryAdmin):
    """Folders."""

    list_display = ("title", "patient", "its_facility", "updated", "status")
    fields = ("title", "patient", "its_facility", "updated", "status", "entry_uuid", "unique_id", "registered_at")

    @admin.display(description=_("last updated at"), ordering="last_update_time")
    def updated(self, row: Folder) -> str:
        return _local(row.last_update_time)


@admin.register(Association)
class AssociationAdmin(RegistryAdmin):
    """Relationships between documents, submissions and folders."""

    list_display = ("kind", "patient", "its_facility", "source_uuid", "target_uuid", "status")
    fields = (
        "kind",
        "patient",
        "its_facility",
        "source_uuid",
        "target_uuid",
        "submission_set_status",
        "status",
        "entry_uuid",
        "registered_at",
    )

    @admin.display(description=_("type"), ordering="association_type")
    def kind(self, row: Association) -> str:
        return row.association_type.rpartition(":")[2]
