"""Storages in the admin: how they are, what was found wrong in them by facility, and what is kept out.

Names of files hold chart numbers, so lists of files and findings are audited.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.forms import ActionForm

from apps.atna.admin import AuditedAdmin, ReadOnly
from apps.atna.services import record_view, viewer_of
from apps.network import queries as network
from apps.pix.queries import subject_of
from apps.ssmix import queries
from apps.ssmix.models import AcceptedDeviation, QuarantineDecision, Scan, State, StorageRoot, StoredFile, Tally
from apps.ssmix.services import decide, holder_of, request_scan
from apps.terminology.queries import data_type_label
from hie.exchange.audit import UPDATE
from hie.values.access import Subject
from hie.values.identifiers import Identifier
from hie.wire.ssmix.data_types import DATA_TYPES
from hie.wire.ssmix.names import shown
from hie.wire.ssmix.rules import RULES

_COLUMNS = ("facility", "storage", "rule", "severity", "meaning", "data_type", "month", "files", "examples")
_BOM = "\ufeff"  # spreadsheets read a CSV as UTF-8 by it


def _meaning(rule: str) -> str:
    known = RULES.get(rule)
    if known is None:
        return rule
    return known.ja if (get_language() or "").startswith("ja") else known.en


def _data_type(code: str) -> str:
    """``OMP-01 処方オーダ``, in the language of the page."""
    return f"{code} {data_type_label(code)}".strip()


@admin.register(StorageRoot)
class StorageRootAdmin(ModelAdmin):
    """Storages with their state; a scan can be asked for."""

    list_display = ("name", "facility", "kind", "enabled", "state", "progress", "last_scan_at", "files", "links")
    list_filter = ("facility", "kind", "enabled")
    list_select_related = ("facility",)
    actions = ("scan_now", "scan_fully")
    readonly_fields = ("state", "progress", "last_scan_at", "last_full_at", "last_problem", "files", "links")
    fields = (
        "facility",
        "kind",
        "name",
        "path",
        "position",
        "enabled",
        "trust_folder",
        "quiet_seconds",
        "full_hours",
        *readonly_fields,
    )

    @display(
        description=_("state"),
        label={
            _("healthy"): "success",
            _("problem"): "danger",
            _("scanning"): "info",
            _("interrupted"): "warning",
            _("silent"): "warning",
        },
    )
    def state(self, row: StorageRoot) -> Any:
        holder = holder_of(row)
        if holder is not None and not holder.gone:
            return _("silent") if holder.is_silent else _("scanning")
        if row.lock_token:
            return _("interrupted")
        if row.last_problem:
            return _("problem")
        return _("healthy") if row.last_scan_at else _("not yet scanned")

    @display(description=_("progress"))
    def progress(self, row: StorageRoot) -> Any:
        """How far the scan under way is, or for what the next one waits."""
        holder = holder_of(row)
        if holder is None or holder.gone:
            return _("The scan was interrupted; the next one goes on with it.") if row.lock_token else "-"
        if holder.is_silent:
            text = _(
                "Process %(process)s on %(host)s gave its last sign %(seconds)d s ago. Where it was killed, its lock"
                " ends at %(end)s and the next scan goes on."
            )
            end = f"{timezone.localtime(holder.ends_at):%H:%M:%S}"
            told = {"process": holder.process, "host": holder.host, "seconds": holder.silent_seconds, "end": end}
            return text % told
        scan = Scan.objects.filter(root=row, ended_at__isnull=True).first()
        if scan is None or not scan.share:
            return _("begun")
        left = scan.seconds / scan.share * (1 - scan.share)
        text = _("%(share)d%%, %(files)d files found, about %(minutes)d min left")
        return text % {"share": scan.share * 100, "files": scan.counts.get("found", 0), "minutes": -(-left // 60)}

    @display(description=_("files"))
    def files(self, row: StorageRoot) -> SafeString | str:
        if row.pk is None:
            return "-"
        states = queries.report(row).states
        return format_html_join(" · ", "{} {}", ((State(state).label, count) for state, count in states.items())) or "-"

    @display(description=_("reports"))
    def links(self, row: StorageRoot) -> SafeString | str:
        if row.pk is None:
            return "-"
        return format_html(
            '<a href="{}?root__id__exact={}">{}</a> · <a href="{}?root__id__exact={}&state__exact={}">{}</a>',
            reverse("admin:ssmix_tally_changelist"),
            row.pk,
            _("findings"),
            reverse("admin:ssmix_storedfile_changelist"),
            row.pk,
            State.QUARANTINED.value,
            _("quarantine"),
        )

    @action(description=_("Scan now"))
    def scan_now(self, request: HttpRequest, queryset: QuerySet[StorageRoot]) -> None:
        self._request(request, queryset, full=False)

    @action(description=_("Scan fully: compare every file"))
    def scan_fully(self, request: HttpRequest, queryset: QuerySet[StorageRoot]) -> None:
        self._request(request, queryset, full=True)

    def _request(self, request: HttpRequest, queryset: QuerySet[StorageRoot], *, full: bool) -> None:
        for root in queryset:
            request_scan(root, full=full)
        number = queryset.count()
        text = ngettext(
            "%d storage will be scanned within seconds.", "%d storages will be scanned within seconds.", number
        )
        messages.success(request, text % number)


class SeverityFilter(admin.SimpleListFilter):
    """Findings by how heavy their rule is."""

    title = _("severity")
    parameter_name = "severity"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("E", _("kept out")), ("W", _("warning")), ("I", _("information"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Tally]) -> QuerySet[Tally]:
        if not self.value():
            return queryset
        return queryset.filter(rule__in=[rule.id for rule in RULES.values() if rule.severity.value == self.value()])


@admin.register(Tally)
class TallyAdmin(ReadOnly, AuditedAdmin):
    """The findings of each facility: rule, data type, month, how many files, examples; from here to the files."""

    list_display = ("rule", "severity", "meaning", "root", "its_type", "month", "files_link", "accepted")
    list_filter = ("root__facility", "root", SeverityFilter, "rule", "month")
    list_select_related = ("root__facility",)
    search_fields = ("rule", "data_type")
    ordering = ("rule", "-count")
    actions = ("download",)
    fields = ("rule", "severity", "meaning", "root", "its_type", "month", "files_link", "example_list")
    readonly_fields = fields
    list_per_page = 100

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tally]:
        return super().get_queryset(request).filter(count__gt=0)

    @display(description=_("severity"), label={"E": "danger", "W": "warning", "I": "info"})
    def severity(self, row: Tally) -> str:
        return RULES[row.rule].severity.value if row.rule in RULES else "W"

    @display(description=_("meaning"))
    def meaning(self, row: Tally) -> str:
        return _meaning(row.rule)

    @display(description=_("data type"), ordering="data_type")
    def its_type(self, row: Tally) -> str:
        return _data_type(row.data_type)

    @display(description=_("files"), ordering="count")
    def files_link(self, row: Tally) -> SafeString:
        return format_html(
            '<a href="{}?root__id__exact={}&rule={}&data_type={}">{}</a>',
            reverse("admin:ssmix_storedfile_changelist"),
            row.root_id,
            row.rule,
            row.data_type,
            row.count,
        )

    @display(description=_("accepted"), boolean=True)
    def accepted(self, row: Tally) -> bool:
        return AcceptedDeviation.objects.filter(
            facility=row.root.facility, rule=row.rule, data_type__in=("", row.data_type)
        ).exists()

    @display(description=_("examples"))
    def example_list(self, row: Tally) -> SafeString:
        return format_html_join("", "<div>{} {}</div>", ((shown(each["path"]), each["place"]) for each in row.examples))

    @action(description=_("Download as CSV"))
    def download(self, request: HttpRequest, queryset: QuerySet[Tally]) -> HttpResponse:
        response = HttpResponse(_BOM, content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="ssmix2-findings.csv"'
        writer = csv.writer(response)
        writer.writerow(_COLUMNS)
        for row in queryset.select_related("root__facility").order_by("root__facility__code", "rule", "-count"):
            writer.writerow(
                _safe(
                    (
                        row.root.facility.code,
                        row.root.name,
                        row.rule,
                        self.severity(row),
                        _meaning(row.rule),
                        row.data_type,
                        row.month,
                        row.count,
                        "; ".join(f"{shown(each['path'])} {each['place']}".strip() for each in row.examples),
                    )
                )
            )
        return response


def _safe(values: Iterable[Any]) -> list[str]:
    """Cells that no spreadsheet takes for a formula: names of files are a hospital's, not ours."""
    return [f"'{text}" if text[:1] in ("=", "+", "-", "@") else text for text in map(str, values)]


class RuleFilter(admin.SimpleListFilter):
    """Files that break one rule."""

    title = _("rule")
    parameter_name = "rule"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(rule, f"{rule} {_meaning(rule)}") for rule in RULES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[StoredFile]) -> QuerySet[StoredFile]:
        rule = self.value()
        return queryset.filter(rules__contains=rule) if rule in RULES else queryset


class DataTypeFilter(admin.SimpleListFilter):
    """Files of one data type; the value is given by a link."""

    title = _("data type")
    parameter_name = "data_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(code, _data_type(code)) for code in DATA_TYPES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[StoredFile]) -> QuerySet[StoredFile]:
        return queryset.filter(data_type=self.value()) if self.value() else queryset


class ReasonForm(ActionForm):
    """An action with the reason for it."""

    reason = forms.CharField(label=_("reason"), required=False, max_length=500)


@admin.register(StoredFile)
class StoredFileAdmin(ReadOnly, AuditedAdmin):
    """Every file with its state and rules; the quarantine is the list of those kept out."""

    actions = ("read_again", "accept_files", "reject_files")
    action_form = ReasonForm
    list_display = ("file", "root", "patient_id", "its_type", "care_date", "state_shown", "rules", "last_seen")
    list_filter = ("root", "state", RuleFilter, DataTypeFilter)
    list_select_related = ("root__facility", "directory")
    search_fields = ("=patient_id", "=order_number", "=entry_uuid", "=unique_id")
    ordering = ("-id",)
    list_per_page = 50
    show_full_result_count = False
    fields = (
        "root",
        "path",
        "patient_id",
        "its_type",
        "care_date",
        "order_number",
        "written_at",
        "department",
        "flag",
        "state_shown",
        "meanings",
        "size",
        "sha256",
        "entry_uuid",
        "unique_id",
        "first_seen",
        "last_seen",
    )
    readonly_fields = fields

    def has_settle_permission(self, request: HttpRequest) -> bool:
        """Whoever may change files decides about quarantined ones."""
        return request.user.has_perm("ssmix.change_storedfile")

    @action(description=_("Quarantine: read again"), permissions=["settle"])
    def read_again(self, request: HttpRequest, queryset: QuerySet[StoredFile]) -> None:
        self._decide(request, queryset, QuarantineDecision.Verdict.RETRY)

    @action(description=_("Quarantine: accept, with a reason"), permissions=["settle"])
    def accept_files(self, request: HttpRequest, queryset: QuerySet[StoredFile]) -> None:
        self._decide(request, queryset, QuarantineDecision.Verdict.ACCEPT)

    @action(description=_("Quarantine: keep out for good, with a reason"), permissions=["settle"])
    def reject_files(self, request: HttpRequest, queryset: QuerySet[StoredFile]) -> None:
        self._decide(request, queryset, QuarantineDecision.Verdict.REJECT)

    def _decide(self, request: HttpRequest, queryset: QuerySet[StoredFile], verdict: str) -> None:
        """Decide about the chosen files and record it for each patient, in one database transaction."""
        files = list(queryset.select_related("root__facility"))
        try:
            with transaction.atomic():
                decided = decide(files, verdict, reason=request.POST.get("reason", ""), by=request.user)
                subjects = tuple(subject for each in decided for subject in self.subjects_of(each))
                record_view(viewer_of(request), f"SS-MIX2 quarantine: {verdict}", subjects, action=UPDATE)
        except ValueError:
            messages.error(request, _("This decision needs a reason."))
            return
        text = _("%(decided)d of %(chosen)d files decided; the others are not in quarantine or may not be accepted.")
        messages.success(request, text % {"decided": len(decided), "chosen": len(files)})

    def subjects_of(self, row: StoredFile) -> Iterable[Subject]:
        facility = network.facility(row.root.facility.code)
        if facility is None or not row.patient_id:
            return ()
        return (subject_of(Identifier(facility.patient_ids.comparable(row.patient_id), facility.authority)),)

    @display(description=_("data type"), ordering="data_type")
    def its_type(self, row: StoredFile) -> str:
        return _data_type(row.data_type)

    @display(description=_("file name"), ordering="name")
    def file(self, row: StoredFile) -> str:
        return shown(row.name)

    @display(description=_("path"))
    def path(self, row: StoredFile) -> str:
        return shown(f"{row.directory.path}/{row.name}")

    @display(
        description=_("state"),
        ordering="state",
        label={
            State.CURRENT.label: "success",
            State.QUARANTINED.label: "danger",
            State.MISSING.label: "warning",
            State.PENDING.label: "info",
        },
    )
    def state_shown(self, row: StoredFile) -> Any:
        return State(row.state).label

    @display(description=_("rules"))
    def meanings(self, row: StoredFile) -> SafeString:
        return format_html_join("", "<div>{} {}</div>", ((rule, _meaning(rule)) for rule in row.rules.split()))


@admin.register(AcceptedDeviation)
class AcceptedDeviationAdmin(ModelAdmin):
    """What a facility and the network agreed to live with."""

    list_display = ("facility", "rule", "meaning", "data_type", "reason", "accepted_by", "accepted_at")
    list_filter = ("facility", "rule")
    list_select_related = ("facility", "accepted_by")

    @display(description=_("meaning"))
    def meaning(self, row: AcceptedDeviation) -> str:
        return _meaning(row.rule)

    def save_model(self, request: HttpRequest, obj: AcceptedDeviation, form: Any, change: bool) -> None:
        if not change:
            obj.accepted_by = request.user  # type: ignore[assignment]
        super().save_model(request, obj, form, change)


@admin.register(Scan)
class ScanAdmin(ReadOnly, ModelAdmin):
    """The scans with their figures."""

    list_display = ("root", "started_at", "ended_at", "full", "figures", "problem")
    list_filter = ("root", "full")
    list_select_related = ("root__facility",)
    fields = ("root", "started_at", "ended_at", "full", "figures", "problem")
    readonly_fields = fields

    @display(description=_("figures"))
    def figures(self, row: Scan) -> str:
        return ", ".join(f"{name} {number}" for name, number in row.counts.items() if number)
