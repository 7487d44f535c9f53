"""Doubtful pairs in the admin: the queue, and one page to decide them on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Case, QuerySet, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import display

from apps.atna.admin import AuditedAdmin, ReadOnly
from apps.network import queries as network
from apps.pix import matching, queries, services
from apps.pix.admin.words import FIELDS, LEVELS, RULES, SHORT_RULES, day, sex, weight_in_words
from apps.pix.models import LocalIdentifier, ReviewCase
from apps.pix.services import versions
from apps.pix.services.charts import demographics_of
from hie.exchange.audit import READ
from hie.values.access import Subject
from hie.values.identifiers import Identifier, masked
from hie.values.people import Address, Insurance

State = ReviewCase.State


class WaitingFilter(admin.SimpleListFilter):
    """What waits is shown unless something else is asked for."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("waiting", _("waiting")), *State.choices, ("all", _("all"))]

    def choices(self, changelist: Any) -> Any:
        return list(super().choices(changelist))[1:]

    def value(self) -> str:
        return super().value() or "waiting"

    def queryset(self, request: HttpRequest, queryset: QuerySet[ReviewCase]) -> QuerySet[ReviewCase]:
        if self.value() == "all":
            return queryset
        if self.value() == "waiting":
            return queryset.filter(state__in=(State.OPEN, State.POSTPONED))
        return queryset.filter(state=self.value())


class AgeFilter(admin.SimpleListFilter):
    """Cases that have waited for long."""

    title = _("age")
    parameter_name = "age"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("1", _("more than a day")), ("7", _("more than a week")), ("30", _("more than 30 days"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ReviewCase]) -> QuerySet[ReviewCase]:
        if self.value() not in ("1", "7", "30"):
            return queryset
        return queryset.filter(opened_at__lt=timezone.now() - timedelta(days=int(str(self.value()))))


@admin.register(ReviewCase)
class ReviewCaseAdmin(ReadOnly, AuditedAdmin):
    """Persons that may be one: the queue, and the page on which a clerk decides."""

    list_display = ("age", "one", "other", "shown_rule", "shown_score", "shown_state", "note_begin", "decided_by")
    list_display_links = ("age", "one", "other")
    list_filter = (WaitingFilter, AgeFilter, "rule", "first__facility_code", ("opened_at", RangeDateFilter))
    list_select_related = ("first__person", "second__person")
    search_fields = ("=first__value", "=second__value")
    search_help_text = _("Chart number")
    ordering = (Case(When(state=State.POSTPONED, then=1), default=0).asc(), "opened_at", "id")
    list_per_page = 50

    def get_urls(self) -> list[Any]:
        decide = self.admin_site.admin_view(self.decide_view)
        return [path("<int:object_id>/decide/", decide, name="pix_reviewcase_decide"), *super().get_urls()]

    def subjects_of(self, row: ReviewCase) -> Iterable[Subject]:
        return (_subject(row.first), _subject(row.second))

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pix.decide_reviewcase")

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The page of one case; looking at it is recorded with both patients."""
        return self._audited(
            request,
            lambda: self._page(request, object_id),
            lambda response: self._record_row(request, object_id, response, READ),
        )

    def decide_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """POST of one decision (``link apart postpone note back``): carried out, recorded, then the next case."""
        if not self.has_decide_permission(request):
            raise PermissionDenied
        case = self.get_queryset(request).select_related("first__person", "second__person").filter(pk=object_id).first()
        verb = _VERBS.get(request.POST.get("verb", ""))
        if case is None or verb is None:
            raise Http404
        response: HttpResponse = self.audited_work(
            request, lambda: self._decide(request, case, verb), request.POST["verb"], case
        )
        return response

    def _decide(self, request: HttpRequest, case: ReviewCase, verb: _Verb) -> HttpResponse:
        here = HttpResponseRedirect(reverse("admin:pix_reviewcase_change", args=[case.pk]))
        note = request.POST.get("note", "").strip()
        try:
            verb.work(case, request.user.get_username(), note)
        except services.AlreadyDecidedError:
            messages.warning(request, _("This case is not waiting any more: somebody decided it, or it was answered."))
            return here
        except services.StatedElsewhereError:
            messages.error(
                request,
                _("A facility merged the two, or other decisions tie them together. Take those back first."),
            )
            return here
        messages.success(request, verb.done)
        if not verb.onwards:
            return here
        following = services.after(case)
        if following is None:
            messages.info(request, _("No case is waiting any more."))
            return HttpResponseRedirect(reverse("admin:pix_reviewcase_changelist"))
        return HttpResponseRedirect(reverse("admin:pix_reviewcase_change", args=[following.pk]))

    def _page(self, request: HttpRequest, object_id: str | None) -> HttpResponse:
        if object_id is None or not self.has_view_permission(request):
            raise PermissionDenied
        case = self.get_object(request, object_id)
        if case is None:
            raise Http404
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("One person or two?"),
            "case": case,
            "state": State(case.state).label,
            "waits": case.state in (State.OPEN, State.POSTPONED),
            "decided": case.state in (State.LINKED, State.APART),
            "age": timesince(case.opened_at),
            "heads": [_head(each) for each in (case.first, case.second)],
            "lines": _side_by_side(case.first, case.second),
            "rule": RULES.get(case.rule, case.rule),
            "explained": _explained(case),
            "may_decide": self.has_decide_permission(request),
            "decide_url": reverse("admin:pix_reviewcase_decide", args=[case.pk]),
            "list_url": reverse("admin:pix_reviewcase_changelist"),
            "waiting": queries.review_figures().waiting,
        }
        return TemplateResponse(request, "pix/review.html", context)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> ReviewCase | None:
        if not str(object_id).isdigit():
            return None
        rows = self.get_queryset(request).select_related("first__person", "second__person")
        return rows.filter(pk=object_id).first()

    @display(description=_("age"), ordering="opened_at")
    def age(self, row: ReviewCase) -> str:
        return timesince(row.opened_at)

    @display(description=_("one record"))
    def one(self, row: ReviewCase) -> str:
        return _short(row.first)

    @display(description=_("the other"))
    def other(self, row: ReviewCase) -> str:
        return _short(row.second)

    @display(description=_("why"), ordering="rule")
    def shown_rule(self, row: ReviewCase) -> str:
        return str(SHORT_RULES.get(row.rule, row.rule))

    @display(description=_("score"), ordering="score")
    def shown_score(self, row: ReviewCase) -> str:
        return f"{row.score:.1f}"

    @display(
        description=_("state"),
        ordering="state",
        label={"open": "warning", "postponed": "info", "linked": "success", "apart": "success", "closed": "default"},
    )
    def shown_state(self, row: ReviewCase) -> tuple[str, str]:
        return row.state, str(State(row.state).label)

    @display(description=_("note"))
    def note_begin(self, row: ReviewCase) -> str:
        return row.note if len(row.note) <= 30 else f"{row.note[:30]}…"


@dataclass(frozen=True, slots=True)
class _Verb:
    """What a button does: work(case, account, note). onwards: the next case is shown after it."""

    work: Callable[[ReviewCase, str, str], None]
    done: Any
    onwards: bool = True


_VERBS = {
    "link": _Verb(
        lambda case, by, note: services.decide(case.pk, one_human=True, by=by, note=note),
        _("Linked: the two records are one person now."),
    ),
    "apart": _Verb(
        lambda case, by, note: services.decide(case.pk, one_human=False, by=by, note=note),
        _("Kept apart: no rule will link these two records."),
    ),
    "postpone": _Verb(
        lambda case, by, note: services.postpone(case.pk, by=by, note=note),
        _("Postponed: the case comes after the others."),
    ),
    "note": _Verb(
        lambda case, _by, note: services.annotate(case.pk, note=note), _("The note was saved."), onwards=False
    ),
    "back": _Verb(
        lambda case, by, _note: services.take_back(case.pk, by=by),
        _("The decision was taken back and the opposite holds."),
        onwards=False,
    ),
}


# --- two records side by side


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the comparison. mark: "same", "differs", or "one side" where only one record says anything."""

    label: Any
    one: str
    other: str

    @property
    def mark(self) -> str:
        if not self.one or not self.other:
            return "one side" if self.one or self.other else "same"
        return "same" if _plain(self.one) == _plain(self.other) else "differs"


def _plain(text: str) -> str:
    """Texts that differ in spelling alone are not marked."""
    return matching.kanji_key(text) or matching.kana_key(text) or text


def _head(row: LocalIdentifier) -> dict[str, Any]:
    others = row.person.identifiers.exclude(pk=row.pk).filter(status=LocalIdentifier.Status.ACTIVE).order_by("pk")
    return {
        "facility": _facility(row),
        "number": row.value,
        "person": masked(row.person.regional_id),
        "person_url": reverse("admin:pix_person_change", args=[row.person_id]),
        "others": [f"{_facility(each)} {each.value}" for each in others[:5]],
    }


def _side_by_side(one: LocalIdentifier, other: LocalIdentifier) -> list[_Line]:
    return [_Line(label, read(one), read(other)) for label, read in _LINES if read(one) or read(other)]


_LINES: tuple[tuple[Any, Callable[[LocalIdentifier], str]], ...] = (
    (_("Patient name"), lambda row: f"{row.ideographic_family} {row.ideographic_given}".strip()),
    (_("Kana"), lambda row: f"{row.phonetic_family} {row.phonetic_given}".strip()),
    (_("Latin letters"), lambda row: f"{row.alphabetic_family} {row.alphabetic_given}".strip()),
    (_("Birth date"), lambda row: day(row.birth_date)),
    (_("Sex"), lambda row: sex(row.sex)),
    (_("Address"), lambda row: "\n".join(_address(each) for each in demographics_of(row).addresses)),
    (_("Telephone"), lambda row: "\n".join(row.telephones)),
    (_("Health insurance"), lambda row: "\n".join(_insurance(each) for each in demographics_of(row).insurances)),
    (_("Died"), lambda row: row.death_time),
    (_("Last told"), lambda row: f"{timezone.localtime(row.last_seen):%Y-%m-%d}"),
)


def _address(address: Address) -> str:
    parts = (address.postal_code, address.prefecture + address.city + address.street, address.text)
    return " ".join(part for part in parts if part)


def _insurance(insurance: Insurance) -> str:
    return " ".join(
        part for part in (insurance.insurer_number, insurance.symbol, insurance.number, insurance.branch) if part
    )


def _explained(case: ReviewCase) -> dict[str, Any] | None:
    """The score in words, field by field; None where the machine does not doubt this pair any more."""
    found = services.explain_pair(case.first, case.second)
    if found is None:
        return None
    return {
        "version": found.version,
        "in_force": versions.in_force().version.name,
        "score": found.score,
        "against": gettext("Compared with two people of one household.")
        if found.explanation.against == "household"
        else gettext("Compared with two strangers."),
        "prior": f"{found.explanation.prior:+.1f}",
        "weights": [
            {
                "field": FIELDS[each.field],
                "level": LEVELS[each.field][each.level],
                "words": weight_in_words(each.bits),
                "bits": f"{each.bits:+.1f}",
                "good": each.bits >= 1,
                "bad": each.bits <= -1,
                "width": min(100, round(abs(each.bits) * 5)),
            }
            for each in found.explanation.weights
        ],
    }


def _short(row: LocalIdentifier) -> str:
    name = f"{row.ideographic_family} {row.ideographic_given}".strip()
    kana = f"{row.phonetic_family} {row.phonetic_given}".strip()
    return " ".join(filter(None, (name or kana, day(row.birth_date), f"({_facility(row)} {row.value})")))


def _facility(row: LocalIdentifier) -> str:
    found = network.facility(row.facility_code)
    return found.name if found else row.facility_code


def _subject(row: LocalIdentifier) -> Subject:
    return Subject(Identifier(row.person.regional_id, network.affinity_domain()), row.person.regional_id)
