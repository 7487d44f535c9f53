"""The first page of the admin site, and what a monitor asks: is the network well?

Every app gives its own figures (``apps.<app>.queries.overview``); here they become one page, each figure with the list
behind it. The page shows no patient.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db import DatabaseError, connection
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.atna import queries as audit
from apps.network import queries as network
from apps.network.models import kind_label
from apps.pix import queries as index
from apps.ssmix.models import StorageRoot
from apps.xds.models import DocumentEntry, Status
from apps.xds.queries import last_check
from hie.values.times import JST

GOOD, WARNING, BAD = "good", "warning", "bad"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the first page: its key for machines, its words, the list behind it, and whether it is well."""

    key: str
    title: str
    value: int
    link: str
    state: str = GOOD
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """One facility on the first page. Moments are aware; None where there was none."""

    code: str
    name: str
    kind: str
    enabled: bool
    link: str
    persons: int = 0
    last_feed: datetime | None = None
    last_scan: datetime | None = None
    refused: int = 0
    failed: int = 0
    certificate_until: datetime | None = None
    feeds_link: str = ""
    refused_link: str = ""
    scans_link: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    figures: tuple[Figure, ...]
    members: tuple[Member, ...]


def overview(now: datetime) -> Overview:
    """The figures of all apps and the facilities with their day, at this moment."""
    today = urlencode({"since": now.astimezone(JST).strftime("%Y-%m-%dT00:00")})
    days = {day.facility_code: day for day in audit.overview(now)}
    known = network.overview(now)
    persons = index.overview()
    refused, failed = sum(day.refused for day in days.values()), sum(day.failed for day in days.values())
    figures = (
        Figure(
            "facilities",
            _("Facilities"),
            known.facilities,
            _list("network.Facility", "enabled__exact=1"),
            detail=ngettext("%(count)d switched off", "%(count)d switched off", known.facilities_off)
            % {"count": known.facilities_off}
            if known.facilities_off
            else "",
        ),
        Figure(
            "persons",
            _("Persons"),
            int(str(persons["persons"])),
            _list("pix.Person"),
            detail=_("%(count)s chart numbers") % {"count": f"{persons['identifiers']:,}"},
        ),
        _review(persons["review"]),
        _insurances(),
        Figure("documents", _("Documents"), _documents(), _list("xds.DocumentEntry")),
        _repositories(now),
        Figure(
            "refused",
            _("Refused today"),
            refused,
            _list("atna.AuditRecord", f"{today}&outcome=8"),
            WARNING if refused else GOOD,
        ),
        Figure(
            "failed",
            _("Failed today"),
            failed,
            _list("atna.AuditRecord", f"{today}&outcome=12"),
            BAD if failed else GOOD,
        ),
        Figure(
            "expiring",
            _("Certificates that end soon"),
            known.expiring,
            _list("network.NodeCertificate", "ends=soon"),
            WARNING if known.expiring else GOOD,
            detail=_("within 30 days"),
        ),
    )
    return Overview(figures, tuple(_members(now, days, known, persons["by_facility"], today)))


def _review(figures: Any) -> Figure:
    """Persons that may be one, with the age of the oldest question and what the machine did in thirty days."""
    detail = _("%(linked)d linked by the machine, %(overturned)d overturned in 30 days") % {
        "linked": figures.linked,
        "overturned": figures.overturned,
    }
    if figures.oldest is not None:
        detail = _("oldest: %(age)s") % {"age": timesince(figures.oldest)} + "; " + detail
    state = WARNING if figures.waiting else GOOD
    return Figure("review", _("Persons to review"), figures.waiting, _list("pix.ReviewCase"), state, detail=detail)


def _insurances() -> Figure:
    """Insurances that cannot both be right and that nobody has looked at yet."""
    found = index.coverage_figures()
    waiting = sum(found.values())
    detail = _("one person with two: %(two_cards)d; one shared by two persons: %(one_card)d") % {
        "two_cards": found["two cards"],
        "one_card": found["one card"],
    }
    state = WARNING if waiting else GOOD
    return Figure("insurances", _("Insurances to check"), waiting, _list("pix.CoverageFinding"), state, detail=detail)


def _repositories(now: datetime) -> Figure:
    """What the last check of documents found: lost, altered and closed ones, and whether it was made in time."""
    last = last_check()
    link = _list("xds.RepositoryCheck")
    title = _("Documents at fault")
    if last is None or last.ended_at is None:
        return Figure("repositories", title, 0, link, detail=_("not checked yet"))
    bad = sum(last.faults.get(kind, 0) for kind in ("lost", "altered", "closed"))
    beside = sum(last.faults.values()) - bad
    overdue = bool(settings.CHECK_HOURS) and now - last.ended_at > 2 * timedelta(hours=settings.CHECK_HOURS)
    detail = _("checked %(age)s ago") % {"age": timesince(last.ended_at, now)}
    if beside:
        detail = f"{detail}; " + _("left over or out of step: %(count)d") % {"count": beside}
    state = BAD if bad else WARNING if overdue or beside else GOOD
    return Figure("repositories", title, bad, link, state, detail=detail)


def _members(
    now: datetime, days: dict[str, audit.FacilityDay], known: network.NetworkOverview, persons: Any, today: str
) -> list[Member]:
    scans = _last_scans()
    members = []
    for each in network.facilities():
        day = days.get(each.code, audit.FacilityDay(each.code))
        records = urlencode({"facility": each.code})
        members.append(
            Member(
                code=each.code,
                name=each.name,
                kind=str(kind_label(each.kind)),
                enabled=each.enabled,
                link=_list("network.Facility", urlencode({"q": each.code})),
                persons=persons.get(each.code, 0),
                last_feed=day.last_feed,
                last_scan=scans.get(each.code),
                refused=day.refused,
                failed=day.failed,
                certificate_until=known.until.get(each.code),
                scans_link=_list("ssmix.StorageRoot", urlencode({"facility__code": each.code})),
                feeds_link=_list("atna.AuditRecord", records),
                refused_link=_list("atna.AuditRecord", f"{records}&{today}"),
            )
        )
    return members


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The context of the first page of the admin site (UNFOLD's DASHBOARD_CALLBACK)."""
    now = timezone.now()
    return {**context, "title": settings.NETWORK_NAME, "overview": overview(now), "now": now}


class OverviewView(APIView):
    """GET /api/overview: the first page as JSON, for staff."""

    permission_classes = [IsAdminUser]

    def get(self, request: Request) -> Response:
        """Figures and facilities, with the moment they were counted."""
        now = timezone.now()
        return Response({"network": settings.NETWORK_NAME, "at": now, **asdict(overview(now))})


def healthz(request: HttpRequest) -> HttpResponse:
    """GET /healthz: 200 where the database answers, else 503. Says nothing else, to anybody."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError:
        return HttpResponse("the database does not answer\n", status=503, content_type="text/plain")
    return HttpResponse("ok\n", content_type="text/plain")


# The groups of the menu: models by label, each with its symbol. What is not registered, or not allowed, is left out.
MENU: tuple[tuple[Any, tuple[tuple[str, str], ...]], ...] = (
    (
        gettext_lazy("Network"),
        (
            ("network.Facility", "local_hospital"),
            ("network.Node", "lan"),
            ("network.NodeCertificate", "verified_user"),
            ("network.AssigningAuthority", "badge"),
            ("network.Community", "hub"),
        ),
    ),
    (
        gettext_lazy("Patients and documents"),
        (
            ("pix.Person", "person"),
            ("pix.LocalIdentifier", "id_card"),
            ("pix.ReviewCase", "difference"),
            ("pix.CoverageFinding", "health_and_safety"),
            ("pix.LinkEvent", "link"),
            ("pix.MatchRules", "tune"),
            ("pix.Encounter", "bed"),
            ("xds.DocumentEntry", "description"),
            ("xds.SubmissionSet", "outbox"),
            ("xds.Folder", "folder"),
            ("xds.Association", "schema"),
            ("xds.AcceptedCode", "checklist"),
            ("xds.Subscription", "notifications"),
            ("xds.Outgoing", "outgoing_mail"),
            ("xds.Endpoint", "link"),
            ("xds.RepositoryCheck", "inventory_2"),
            ("xds.DocumentCheck", "rule_folder"),
        ),
    ),
    (
        gettext_lazy("Changes of patients told to others"),
        (
            ("pix.Subscription", "notifications"),
            ("pix.Notification", "mark_email_unread"),
        ),
    ),
    (
        gettext_lazy("Consent"),
        (
            ("consent.Directive", "handshake"),
            ("consent.EmergencyAccess", "emergency"),
            ("consent.NetworkPolicy", "policy"),
        ),
    ),
    (
        gettext_lazy("SS-MIX2 storages"),
        (
            ("ssmix.StorageRoot", "database"),
            ("ssmix.Scan", "radar"),
            ("ssmix.Tally", "report"),
            ("ssmix.StoredFile", "draft"),
            ("ssmix.AcceptedDeviation", "rule_settings"),
        ),
    ),
    (gettext_lazy("Audit"), (("atna.AuditRecord", "fact_check"),)),
    (
        gettext_lazy("Terminology"),
        (
            ("terminology.DataType", "rule"),
            ("terminology.Code", "sell"),
            ("terminology.CodeMap", "conversion_path"),
            ("terminology.CodeSystem", "category"),
        ),
    ),
    (gettext_lazy("Accounts"), (("auth.User", "manage_accounts"), ("auth.Group", "groups"))),
)


def menu(request: HttpRequest) -> list[dict[str, Any]]:
    """The side menu: the first page, then the groups with what this person may see; unlisted models come last."""
    groups: list[dict[str, Any]] = [
        {"items": [{"title": _("Overview"), "icon": "monitoring", "link": reverse("admin:index")}]}
    ]
    listed = {label for _title, entries in MENU for label, _icon in entries}
    rest = tuple((label, "list") for label in sorted(_registered()) if label not in listed)
    for title, entries in (*MENU, (gettext_lazy("More"), rest)):
        items = [
            {
                "title": capfirst(str(_registered()[label].model._meta.verbose_name_plural)),
                "icon": icon,
                "link": _list(label),
            }
            for label, icon in entries
            if label in _registered() and _registered()[label].has_view_permission(request)
        ]
        if items:
            groups.append({"title": title, "collapsible": False, "separator": True, "items": items})
    return groups


def _plural(label: str) -> str:
    return capfirst(str(_registered()[label].model._meta.verbose_name_plural))


def _registered() -> dict[str, Any]:
    return {model._meta.label: model_admin for model, model_admin in admin.site._registry.items()}


def _list(label: str, condition: str = "") -> str:
    """The address of a model's list in the admin, "" where it has none."""
    if label not in _registered():
        return ""
    app, model = label.lower().split(".")
    return reverse(f"admin:{app}_{model}_changelist") + (f"?{condition}" if condition else "")


def _documents() -> int:
    """Approved documents of the registry."""
    return DocumentEntry.objects.filter(status=Status.APPROVED).count()


def _last_scans() -> dict[str, datetime]:
    """Facility code -> when one of its storages was last scanned to the end."""
    rows = StorageRoot.objects.filter(last_scan_at__isnull=False).order_by()
    return dict(rows.values_list("facility__code").annotate(last=Max("last_scan_at")))
