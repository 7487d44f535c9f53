"""The patient index in the admin: persons, their charts, and the history of links. To look at, not to change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Count, Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import display

from apps.atna.admin import AuditedAdmin
from apps.network import queries as network
from apps.pix import matching
from apps.pix.models import LinkEvent, LocalIdentifier, Person
from hie.values.access import Subject
from hie.values.identifiers import AssigningAuthority, Identifier, masked


class ReadOnly:
    """Facilities tell the index; nobody types into it."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


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


class ChartsOfPerson(ReadOnly, TabularInline):
    model = LocalIdentifier
    fields = ("value", "facility", "status", "kanji", "kana", "birth_date", "sex", "last_seen")
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

    def get_queryset(self, request: HttpRequest) -> QuerySet[Person]:
        return super().get_queryset(request).prefetch_related("identifiers").annotate(charts=Count("identifiers"))

    def subjects_of(self, row: Person) -> Iterable[Subject]:
        return (_subject(row.regional_id),)

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


@admin.register(LocalIdentifier)
class LocalIdentifierAdmin(SearchedByName, ReadOnly, AuditedAdmin):
    """Charts: what each facility says of its patients."""

    list_display = ("value", "facility", "kanji", "kana", "birth_date", "sex", "status", "person_handle", "last_seen")
    list_filter = ("facility_code", "status", "sex", ("last_seen", RangeDateFilter))
    list_select_related = ("person", "merged_into")
    exclude = ("person",)
    readonly_fields = ("person_handle",)
    ordering = ("-last_seen",)
    list_per_page = 50

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

    @display(description=_("person"))
    def person_handle(self, row: LocalIdentifier) -> str:
        return masked(row.person.regional_id)


@admin.register(LinkEvent)
class LinkEventAdmin(ReadOnly, AuditedAdmin):
    """Who was linked to whom, when, by which rule and on what evidence."""

    list_display = ("at", "kind", "value", "facility", "person_handle", "previous_handle", "rule", "message_id")
    list_filter = ("kind", "facility_code", ("at", RangeDateFilter))
    list_select_related = ("person", "previous_person")
    search_fields = ("=value", "=message_id")
    search_help_text = _("Chart number or message id")
    fields = (
        "at",
        "kind",
        "value",
        "authority_oid",
        "person_handle",
        "previous_handle",
        "rule",
        "evidence",
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

    @display(description=_("person"))
    def person_handle(self, row: LinkEvent) -> str:
        return masked(row.person.regional_id) if row.person else "-"

    @display(description=_("previous person"))
    def previous_handle(self, row: LinkEvent) -> str:
        return masked(row.previous_person.regional_id) if row.previous_person else "-"


def _subject(regional_id: str) -> Subject:
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
