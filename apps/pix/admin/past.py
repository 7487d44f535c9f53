"""Who was linked to what on a past day, and why: for somebody who has to answer for it, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from apps.network import queries as network
from apps.pix import queries
from apps.pix.admin.words import FIELDS, LEVELS, weight_in_words, why
from apps.pix.models import LinkEvent, LocalIdentifier, Person
from hie.values.identifiers import masked

EVENTS_SHOWN = 200


class DayInput(UnfoldAdminTextInputWidget):
    """The browser's own choice of a day."""

    input_type = "date"


class DayForm(forms.Form):
    """A day in Japan that is not to come."""

    on = forms.DateField(label=_("day"), widget=DayInput)

    def clean_on(self) -> date:
        """The day; a day to come is refused."""
        day: date = self.cleaned_data["on"]
        if day > timezone.localdate():
            raise forms.ValidationError(gettext("This day has not come yet."))
        return day


def context_of(asked: Mapping[str, str], person: Person | None, chart: LocalIdentifier | None) -> dict[str, Any]:
    """What the page shows of a person, or of the person under whom a chart stood, on the day asked for (``on``).

    seen: the regional ids of everybody whom the page shows.
    """
    form = DayForm({"on": asked.get("on") or timezone.localdate().isoformat()})
    context: dict[str, Any] = {"form": form, "seen": set()}
    if form.is_valid():
        moment = end_of(form.cleaned_data["on"])
        stood = person if chart is None else person_of(chart, moment)
        context |= {"day": form.cleaned_data["on"], "standing": standing(stood, moment) if stood else []}
        if stood is not None:
            context |= {"person": masked(stood.regional_id), "person_url": _url(stood)}
            context["seen"] |= {stood.regional_id, *(each["row"].person.regional_id for each in context["standing"])}
    if person is not None:
        context["happened"] = happened(person)
        context["left_out"] = len(context["happened"]) >= EVENTS_SHOWN
        context["seen"].add(person.regional_id)
    return context


def _url(person: Person) -> str:
    return reverse("admin:pix_person_change", args=[person.pk])


def end_of(day: date) -> datetime:
    """The last moment of a day in Japan."""
    midnight = datetime.combine(day + timedelta(days=1), time(), timezone.get_default_timezone())
    return midnight - timedelta(microseconds=1)


def person_of(chart: LocalIdentifier, moment: datetime) -> Person | None:
    """The person under whom a chart stood at a past moment; None where it was not known yet, or merged away."""
    events = LinkEvent.objects.filter(record=chart, at__lte=moment).select_related("person").order_by("-pk")
    event = events.first()
    return event.person if event is not None else None


def standing(person: Person, moment: datetime) -> list[dict[str, Any]]:
    """The identifiers that stood under a person at a past moment, each with the event that had put it there."""
    return [
        {"event": _worded(event), "facility": _facility(event.authority_oid), "value": event.value, "row": event.record}
        for identifier in queries.identifiers_on(person.regional_id, moment)
        if (event := _latest(identifier.oid, identifier.value, moment)) is not None
    ]


def _latest(authority_oid: str, value: str, moment: datetime) -> LinkEvent | None:
    events = LinkEvent.objects.filter(authority_oid=authority_oid, value=value, at__lte=moment).order_by("-pk")
    return events.select_related("record__person", "person", "previous_person").first()


def happened(person: Person) -> list[dict[str, Any]]:
    """What ever brought a chart under a person or took it away, the latest first, at most ``EVENTS_SHOWN``."""
    came = LinkEvent.objects.filter(person=person).order_by("-pk")[:EVENTS_SHOWN]
    left = LinkEvent.objects.filter(previous_person=person).order_by("-pk")[:EVENTS_SHOWN]
    rows = {
        row.pk: row
        for row in (
            *came.select_related("person", "previous_person"),
            *left.select_related("person", "previous_person"),
        )
    }
    return [
        _worded(rows[pk]) | {"facility": _facility(rows[pk].authority_oid), "value": rows[pk].value}
        for pk in sorted(rows, reverse=True)[:EVENTS_SHOWN]
    ]


def _worded(event: LinkEvent) -> dict[str, Any]:
    return {
        "at": event.at,
        "kind": event.get_kind_display(),
        "why": why(event.rule),
        "by": event.evidence.get("by", "") or event.message_id,
        "reason": event.evidence.get("reason", ""),
        "person": masked(event.person.regional_id) if event.person else "-",
        "previous": masked(event.previous_person.regional_id) if event.previous_person else "-",
        "url": reverse("admin:pix_linkevent_change", args=[event.pk]),
    }


def _facility(authority_oid: str) -> str:
    owner = network.facility_of_authority(authority_oid)
    return owner.name if owner else authority_oid


# --- the evidence of one event


def evidence_in_words(evidence: Mapping[str, Any]) -> SafeString:
    """Who decided and why, with which chart, and field by field what the machine found."""
    lines = [*_told(evidence), *_found(evidence.get("fields", ()))]
    if not lines:
        return _NONE
    return format_html("<table>{}</table>", format_html_join("", _LINE, lines))


_LINE = '<tr><th class="align-top font-medium pr-4 text-left whitespace-nowrap">{}</th><td>{}</td></tr>'
_NONE = SafeString("-")


def _told(evidence: Mapping[str, Any]) -> Iterable[tuple[Any, Any]]:
    other = LocalIdentifier.objects.filter(pk=evidence.get("chart") or 0).first()
    if other is not None:
        chart = f"{_facility(other.authority_oid)} {other.value}"
        yield _("linked with"), link_to(reverse("admin:pix_localidentifier_change", args=[other.pk]), chart)
    for label, name in (
        (_("decided by"), "by"),
        (_("Reason"), "reason"),
        (_("matching rules"), "rules"),
        (_("score"), "score"),
    ):
        if name in evidence:
            yield label, evidence[name]


def link_to(url: str, text: str) -> SafeString:
    """A link in a column of an admin page."""
    return format_html('<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', url, text)


def _found(fields: Iterable[tuple[str, str, float]]) -> Iterable[tuple[Any, Any]]:
    for field, level, bits in fields:
        yield FIELDS.get(field, field), f"{LEVELS[field][level]} – {weight_in_words(bits)} ({bits:+.1f})"
