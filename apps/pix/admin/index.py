"""The patient index in the admin: persons, their charts, and the history of links. To look at, not to change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextInputWidget

from apps.atna.admin import AuditedAdmin, ReadOnly
from apps.network import queries as network
from apps.pix import matching, services
from apps.pix.admin import past
from apps.pix.admin.words import day, sex, why
from apps.pix.models import (
    Assertion,
    CoverageFinding,
    Encounter,
    LinkEvent,
    LocalIdentifier,
    Movement,
    Person,
)
from apps.pix.services import coverage
from hie.exchange.audit import READ
from hie.values.access import Subject
from hie.values.identifiers import AssigningAuthority, Identifier, masked


class SearchedByName:
    """Search by chart number, or by a name in kanji or kana however it is written."""

    search_prefix = ""
    search_fields = ("value",)
    search_help_text = _("Chart number, or name in kanji or kana")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Rows whose number is the term or whose name begins with it, variants of characters and of kana folded."""
        term = search_term.strip()
        if term:
            queryset = queryset.filter(_found_by(term, self.search_prefix)).distinct()
        return super().get_search_results(request, queryset, "")[0], False  # type: ignore[misc]


def _found_by(term: str, prefix: str) -> Q:
    found = Q(**{f"{prefix}value": term})
    for column, key in (("kanji_key", matching.kanji_key(term)), ("kana_key", matching.kana_key(term))):
        if key:
            found |= Q(**{f"{prefix}{column}__startswith": key})
    return found


@display(description=_("birth date"), ordering="birth_date")
def _born(row: LocalIdentifier) -> str:
    return day(row.birth_date)


@display(description=_("sex"), ordering="sex")
def _sex(row: LocalIdentifier) -> str:
    return sex(row.sex)


class ChartsOfPerson(ReadOnly, TabularInline):
    model = LocalIdentifier
    fields = ("value", "facility", "status", "kanji", "kana", _born, _sex, "last_seen")
    readonly_fields = fields
    extra = 0
    show_change_link = True
    verbose_name_plural = _("identifiers")

    @display(description=_("facility"))
    def facility(self, row: LocalIdentifier) -> str:
        return _facility_name(row.facility_code)

    @display(description=_("name"))
    def kanji(self, row: LocalIdentifier) -> str:
        return _kanji(row)

    @display(description=_("kana"))
    def kana(self, row: LocalIdentifier) -> str:
        return _kana(row)


class ReasonForm(forms.Form):
    """Why somebody decides as they do; kept with what comes of it for ever."""

    reason = forms.CharField(label=_("Reason"), max_length=200, widget=UnfoldAdminTextInputWidget)


@admin.register(Person)
class PersonAdmin(SearchedByName, ReadOnly, AuditedAdmin):
    """Persons by what their facilities call them; the regional id is masked."""

    search_prefix = "identifiers__"
    search_fields = ("identifiers__value",)
    list_display = ("handle", "names", "birth_dates", "chart_count", "status", "created_at")
    list_filter = ("status", ("created_at", RangeDateFilter))
    fields = ("handle", "status", "surviving_handle", "created_at", "ended_at")
    readonly_fields = fields
    inlines = (ChartsOfPerson,)
    ordering = ("-id",)
    list_per_page = 50
    actions_detail = ("past", "undo_link", "reissue")

    @action(description=_("On a past day"), url_path="past", icon="history", permissions=["view"])
    def past(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Which identifiers stood under this person on a day, and all that happened to it; recorded."""
        person = get_object_or_404(Person, pk=object_id)
        return _page_of_the_past(self, request, past.context_of(request.GET, person, None), object_id)

    @action(description=_("Undo a link"), url_path="undo-link", icon="link_off", permissions=["decide"])
    def undo_link(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask which chart is not this person's and why, then part them; or take such a decision back, or a facility's
        merge that was an error. Recorded."""
        person = get_object_or_404(Person, pk=object_id)
        form = ReasonForm(request.POST or None)
        verb, _colon, charts = request.POST.get("chart", "").rpartition(":")
        chosen = [int(each) for each in charts.split("+") if each.isdigit()]
        if request.method == "POST" and chosen and form.is_valid():
            reason = form.cleaned_data["reason"]
            return self.audited_work(
                request, lambda: self._undo(request, person, verb, chosen, reason), "undo link", person
            )
        apart = _kept_apart(person)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Undo a link"),
            "form": form,
            "charts": [{"pk": each.pk, "text": _short(each)} for each in _charts_of(person)],
            "merged": [{"pk": each.pk, "text": _short(each)} for each in _merged_under(person)],
            "apart": apart,
            "back": reverse("admin:pix_person_change", args=[object_id]),
        }
        seen = tuple(subject_of(each) for each in (person.regional_id, *(each["regional_id"] for each in apart)))
        self.record(request, self.read_event, READ, "undo link", seen, object_id=str(object_id))
        return TemplateResponse(request, "pix/part.html", context)

    def has_decide_permission(self, request: HttpRequest, object_id: int | None = None) -> bool:
        return request.user.has_perm("pix.decide_reviewcase")

    def _undo(self, request: HttpRequest, person: Person, verb: str, chosen: list[int], reason: str) -> HttpResponse:
        """chosen: a chart of this person to take away, or one of its charts and one that it is kept apart from; with
        the verb "merge" a chart whose merge is taken back."""
        by = request.user.get_username()
        own = _merged_under(person) if verb == "merge" else _charts_of(person)
        if chosen[0] not in {each.pk for each in own}:
            raise PermissionDenied
        try:
            if verb == "merge":
                services.unmerge(chosen[0], by=by, reason=reason)
                messages.success(request, _("The merge was taken back: the number stands under a person of its own."))
            elif len(chosen) == 1:
                services.part(chosen[0], by=by, reason=reason)
                messages.success(request, _("The link was undone: the chart stands under a person of its own."))
            else:
                services.rejoin(chosen[0], chosen[1], by=by, reason=reason)
                messages.success(request, _("They are no longer kept apart; the rules decide."))
        except services.StatedElsewhereError:
            messages.error(
                request, _("A facility merged the two, or other decisions tie them together. Take those back first.")
            )
        except services.AlreadyDecidedError:
            messages.warning(request, _("This was taken back already."))
        return HttpResponseRedirect(reverse("admin:pix_person_change", args=[person.pk]))

    @action(description=_("New regional id"), url_path="reissue", icon="autorenew", permissions=["reissue"])
    def reissue(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask for the reason, then retire the id and issue another; recorded with the change."""
        person = get_object_or_404(Person, pk=object_id)
        form = ReasonForm(request.POST or None)
        if request.method != "POST" or not form.is_valid():
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": _("New regional id"),
                "form": form,
                "back": reverse("admin:pix_person_change", args=[object_id]),
            }
            return TemplateResponse(request, "pix/reissue.html", context)
        return self.audited_work(
            request, lambda: self._reissue(request, person, form.cleaned_data["reason"]), "new regional id", person
        )

    def has_reissue_permission(self, request: HttpRequest, object_id: int | None = None) -> bool:
        return not settings.IDENTITY_SOURCE and request.user.has_perm("pix.change_person")

    def _reissue(self, request: HttpRequest, person: Person, reason: str) -> HttpResponse:
        try:
            new = services.reissue(person.regional_id, reason=reason, by=request.user.get_username())
        except services.NotActiveError:
            messages.error(request, _("This person is not active any more."))
            return HttpResponseRedirect(reverse("admin:pix_person_change", args=[person.pk]))
        successor = Person.objects.get(regional__value=new)
        messages.success(request, _("The regional id was retired and a new one issued."))
        return HttpResponseRedirect(reverse("admin:pix_person_change", args=[successor.pk]))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Person]:
        return super().get_queryset(request).prefetch_related("identifiers").annotate(charts=Count("identifiers"))

    def subjects_of(self, row: Person) -> Iterable[Subject]:
        return (subject_of(row.regional_id),)

    @display(description=_("regional id"))
    def handle(self, row: Person) -> str:
        return masked(row.regional_id)

    @display(description=_("joined with"))
    def surviving_handle(self, row: Person) -> str:
        return masked(row.surviving.regional_id) if row.surviving else "-"

    @display(description=_("name"))
    def names(self, row: Person) -> SafeString:
        return _lines(_kanji(chart) or _kana(chart) for chart in row.identifiers.all())

    @display(description=_("birth date"))
    def birth_dates(self, row: Person) -> SafeString:
        return _lines(chart.birth_date for chart in row.identifiers.all())

    @display(description=_("identifiers"), ordering="charts")
    def chart_count(self, row: Any) -> int:
        return int(row.charts)


def _charts_of(person: Person) -> list[LocalIdentifier]:
    return list(person.identifiers.filter(status=LocalIdentifier.Status.ACTIVE).order_by("pk"))


def _merged_under(person: Person) -> list[LocalIdentifier]:
    return list(person.identifiers.filter(status=LocalIdentifier.Status.MERGED).order_by("pk"))


def _kept_apart(person: Person) -> list[dict[str, str]]:
    """What clerks keep apart from this person's charts: "chart+other" for the form, the other chart in words."""
    statements = Assertion.objects.filter(
        Q(first__person=person) | Q(second__person=person),
        basis=Assertion.Basis.CLERK,
        one_human=False,
        ended_at=None,
    ).select_related("first__person", "second__person")
    found: dict[int, dict[str, str]] = {}
    for each in statements.order_by("pk"):
        own, other = (each.first, each.second) if each.first.person_id == person.pk else (each.second, each.first)
        shown = {"value": f"{own.pk}+{other.pk}", "text": _short(other), "regional_id": other.person.regional_id}
        found.setdefault(other.person_id, shown)
    return list(found.values())


def _short(row: LocalIdentifier) -> str:
    return " ".join(
        filter(None, (_kanji(row) or _kana(row), day(row.birth_date), _facility_name(row.facility_code), row.value))
    )


@admin.register(LocalIdentifier)
class LocalIdentifierAdmin(SearchedByName, ReadOnly, AuditedAdmin):
    """Charts: what each facility says of its patients."""

    list_display = ("value", "facility", "kanji", "kana", _born, _sex, "status", "person_handle", "last_seen")
    list_filter = ("facility_code", "status", "sex", ("last_seen", RangeDateFilter))
    list_select_related = ("person", "merged_into")
    exclude = ("person", "past_insurances")
    readonly_fields = ("person_handle", "insurance_history")
    ordering = ("-last_seen",)
    list_per_page = 50
    actions_detail = ("past",)

    @action(description=_("On a past day"), url_path="past", icon="history", permissions=["view"])
    def past(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Under whom this chart stood on a day, and with which other identifiers; recorded."""
        chart = get_object_or_404(LocalIdentifier.objects.select_related("person"), pk=object_id)
        context = past.context_of(request.GET, None, chart)
        context["seen"].add(chart.person.regional_id)
        return _page_of_the_past(self, request, context, object_id)

    def subjects_of(self, row: LocalIdentifier) -> Iterable[Subject]:
        identifier = Identifier(row.value, AssigningAuthority(oid=row.authority_oid), row.type_code)
        return (Subject(identifier, row.person.regional_id),)

    @display(description=_("facility"), ordering="facility_code")
    def facility(self, row: LocalIdentifier) -> str:
        return _facility_name(row.facility_code)

    @display(description=_("name"), ordering="kanji_key")
    def kanji(self, row: LocalIdentifier) -> str:
        return _kanji(row)

    @display(description=_("kana"), ordering="kana_key")
    def kana(self, row: LocalIdentifier) -> str:
        return _kana(row)

    @display(description=_("insurances told before"))
    def insurance_history(self, row: LocalIdentifier) -> SafeString:
        past = row.past_insurances or ()
        return _lines(f"{each['since']} – {each['until']}: {_insurance(each['insurance'])}" for each in past)

    @display(description=_("person"))
    def person_handle(self, row: LocalIdentifier) -> str:
        return masked(row.person.regional_id)


def _page_of_the_past(
    page: AuditedAdmin, request: HttpRequest, context: dict[str, Any], object_id: int
) -> HttpResponse:
    context |= {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": _("On a past day"),
        "back": reverse(f"admin:pix_{page.opts.model_name}_change", args=[object_id]),
    }
    seen = tuple(subject_of(each) for each in sorted(context["seen"]))
    page.record(request, page.read_event, READ, f"past {context.get('day', '')}", seen, object_id=str(object_id))
    return TemplateResponse(request, "pix/past.html", context)


class UnsettledFilter(admin.SimpleListFilter):
    """What nobody has looked at is shown unless something else is asked for."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("settled", _("settled")), ("gone", _("gone")), ("all", _("all"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[CoverageFinding]) -> QuerySet[CoverageFinding]:
        found = {
            "settled": Q(settled_at__isnull=False, gone_at=None),
            "gone": Q(gone_at__isnull=False),
            "all": Q(),
        }.get(self.value() or "", Q(gone_at=None, settled_at=None))
        return queryset.filter(found)


@admin.register(CoverageFinding)
class CoverageFindingAdmin(ReadOnly, AuditedAdmin):
    """Insurances that cannot both be right: two cards of one person, one card of two."""

    list_display = ("found_at", "kind", "one", "other", "settled_by")
    list_filter = (UnsettledFilter, "kind", "first__facility_code", ("found_at", RangeDateFilter))
    list_select_related = ("first__person", "second__person")
    search_fields = ("=first__value", "=second__value")
    search_help_text = _("Chart number")
    fields = ("kind", "one", "one_insurances", "other", "other_insurances", "found_at", "settled_by", "settled_at")
    readonly_fields = fields
    ordering = ("-found_at",)
    actions = ("settle",)
    list_per_page = 50

    def subjects_of(self, row: CoverageFinding) -> Iterable[Subject]:
        return (subject_of(row.first.person.regional_id), subject_of(row.second.person.regional_id))

    def has_settle_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pix.change_coveragefinding")

    @admin.action(description=_("Looked at and settled"), permissions=["settle"])
    def settle(self, request: HttpRequest, queryset: QuerySet[CoverageFinding]) -> None:
        coverage.settle(list(queryset.values_list("pk", flat=True)), by=request.user.get_username())
        messages.success(request, _("They are taken off the list."))

    @display(description=_("one record"))
    def one(self, row: CoverageFinding) -> str:
        return _short(row.first)

    @display(description=_("the other"))
    def other(self, row: CoverageFinding) -> str:
        return _short(row.second)

    @display(description=_("insurances"))
    def one_insurances(self, row: CoverageFinding) -> SafeString:
        return _lines(_insurance(each) for each in row.first.insurances)

    @display(description=_("insurances"))
    def other_insurances(self, row: CoverageFinding) -> SafeString:
        return _lines(_insurance(each) for each in row.second.insurances)


def _insurance(stated: dict[str, str]) -> str:
    number = " ".join(filter(None, (stated.get(each) for each in ("insurer_number", "symbol", "number", "branch"))))
    period = "–".join(day(stated.get(end, "")[:8]) for end in ("valid_from", "valid_to"))
    return f"{number} ({period})" if period != "–" else number


@admin.register(LinkEvent)
class LinkEventAdmin(ReadOnly, AuditedAdmin):
    """Who was linked to whom, when, by which rule and on what evidence."""

    list_display = ("at", "kind", "value", "facility", "person_handle", "previous_handle", "why", "message_id")
    list_filter = ("kind", "facility_code", ("at", RangeDateFilter))
    list_select_related = ("person", "previous_person")
    search_fields = ("=value", "=message_id")
    search_help_text = _("Chart number or message id")
    fields = (
        "at",
        "kind",
        "value",
        "authority_oid",
        "person_link",
        "previous_link",
        "why",
        "evidence_in_words",
        "facility",
        "message_id",
    )
    readonly_fields = fields
    list_per_page = 50

    def subjects_of(self, row: LinkEvent) -> Iterable[Subject]:
        person = row.person or row.previous_person
        identifier = Identifier(row.value, AssigningAuthority(oid=row.authority_oid))
        return (Subject(identifier, person.regional_id if person else ""),)

    @display(description=_("sender"), ordering="facility_code")
    def facility(self, row: LinkEvent) -> str:
        return _facility_name(row.facility_code)

    @display(description=_("rule"), ordering="rule")
    def why(self, row: LinkEvent) -> str:
        return why(row.rule)

    @display(description=_("person"))
    def person_handle(self, row: LinkEvent) -> str:
        return masked(row.person.regional_id) if row.person else "-"

    @display(description=_("previous person"))
    def previous_handle(self, row: LinkEvent) -> str:
        return masked(row.previous_person.regional_id) if row.previous_person else "-"

    @display(description=_("person"))
    def person_link(self, row: LinkEvent) -> str:
        return _link_to_the_past(row.person)

    @display(description=_("previous person"))
    def previous_link(self, row: LinkEvent) -> str:
        return _link_to_the_past(row.previous_person)

    @display(description=_("evidence"))
    def evidence_in_words(self, row: LinkEvent) -> SafeString:
        return past.evidence_in_words(row.evidence)


def _link_to_the_past(person: Person | None) -> str:
    if person is None:
        return "-"
    return past.link_to(reverse("admin:pix_person_past", args=[person.pk]), masked(person.regional_id))


class MovementsOfEncounter(ReadOnly, TabularInline):
    model = Movement
    fields = ("kind", "number", "starts_at", "ends_at", "ward", "nursing_ward", "historic", "cancelled", "at")
    readonly_fields = fields
    extra = 0


@admin.register(Encounter)
class EncounterAdmin(ReadOnly, AuditedAdmin):
    """Stays as facilities tell of them (ITI-31)."""

    list_display = ("chart_number", "facility", "state", "patient_class", "ward", "admitted_at", "discharged_at")
    list_filter = ("state", "patient_class", "record__facility_code")
    list_select_related = ("record__person",)
    search_fields = ("=record__value", "=number")
    search_help_text = _("Chart number or visit number")
    exclude = ("record", "visit", "number_authority", "account_authority")
    inlines = (MovementsOfEncounter,)
    ordering = ("-id",)
    list_per_page = 50

    def subjects_of(self, row: Encounter) -> Iterable[Subject]:
        identifier = Identifier(row.record.value, AssigningAuthority(oid=row.record.authority_oid))
        return (Subject(identifier, row.record.person.regional_id),)

    @display(description=_("chart number"))
    def chart_number(self, row: Encounter) -> str:
        return str(row.record.value)

    @display(description=_("facility"))
    def facility(self, row: Encounter) -> str:
        return _facility_name(row.record.facility_code)


def subject_of(regional_id: str) -> Subject:
    return Subject(Identifier(regional_id, network.affinity_domain()), regional_id)


def _facility_name(code: str) -> str:
    facility = network.facility(code)
    return facility.name if facility else code


def _kanji(row: LocalIdentifier) -> str:
    return f"{row.ideographic_family} {row.ideographic_given}".strip()


def _kana(row: LocalIdentifier) -> str:
    return f"{row.phonetic_family} {row.phonetic_given}".strip()


def _lines(texts: Iterable[str]) -> SafeString:
    """Different texts, one below the other."""
    return format_html_join("", "<div>{}</div>", ((text,) for text in dict.fromkeys(filter(None, texts))))
