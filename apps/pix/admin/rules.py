"""Versions of the matching rules in the admin: which is in force, what another would change, and its adoption."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import F, Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextInputWidget

from apps.atna.admin import AuditedAdmin, ReadOnly
from apps.network import queries as network
from apps.pix.admin.words import day
from apps.pix.models import LocalIdentifier, MatchRules, RulesRun
from apps.pix.services import trials
from hie.exchange.audit import READ
from hie.values.access import Subject
from hie.values.identifiers import Identifier

State, Kind = RulesRun.State, RulesRun.Kind


class AdoptionForm(forms.Form):
    """Why the rules have to be others; kept with the adoption."""

    reason = forms.CharField(label=_("Reason"), max_length=trials.LONGEST_REASON, widget=UnfoldAdminTextInputWidget)


@admin.register(MatchRules)
class MatchRulesAdmin(ReadOnly, AuditedAdmin):
    """The versions by which the machine decides: which is in force, who made and who adopted them."""

    list_display = ("version", "in_force", "created_at", "created_by", "adopted_at", "adopted_by", "note")
    fields = (*list_display, "link_from", "review_from", "hard_rules", "learned_from")
    readonly_fields = fields
    ordering = (F("in_force").desc(), "-created_at")
    actions_detail = ("what_if",)

    @display(description=_("version"), ordering="name")
    def version(self, row: MatchRules) -> str:
        return row.name

    @action(description=_("What if, and adopt"), url_path="what-if", icon="compare_arrows", permissions=["adopt"])
    def what_if(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """The page of one version: have it tried, see the difference, have it adopted; each asking is recorded."""
        rules = get_object_or_404(MatchRules, pk=object_id)
        form = AdoptionForm(request.POST if request.POST.get("verb") == "adopt" else None)
        if request.method == "POST" and (request.POST.get("verb") == "try" or form.is_valid()):
            asked = request.POST["verb"]
            response: HttpResponse = self.audited_work(
                request, lambda: self._ask(request, rules, form), f"{asked} matching rules", rules
            )
            return response
        context = self._context(request, rules, form)
        self.record(request, self.read_event, READ, "what if", _patients(context["changed"]), object_id=str(rules.pk))
        return TemplateResponse(request, "pix/rules.html", context)

    def has_adopt_permission(self, request: HttpRequest, object_id: int | None = None) -> bool:
        return request.user.has_perm("pix.change_matchrules")

    def _ask(self, request: HttpRequest, rules: MatchRules, form: AdoptionForm) -> HttpResponse:
        by = request.user.get_username()
        try:
            if request.POST["verb"] == "try":
                trials.ask_trial(rules.pk, by=by)
                messages.success(request, _("The version will be tried on the whole population; nothing changes."))
            else:
                trials.ask_adoption(rules.pk, by=by, reason=form.cleaned_data["reason"])
                messages.success(request, _("The version will be adopted; everybody is decided anew by it."))
        except trials.AlreadyAskedError:
            messages.warning(request, _("This was asked for already, or the version is in force."))
        except trials.NotTriedError:
            messages.error(request, _("See first what the version would change."))
        return HttpResponseRedirect(reverse("admin:pix_matchrules_what_if", args=[rules.pk]))

    def _context(self, request: HttpRequest, rules: MatchRules, form: AdoptionForm) -> dict[str, Any]:
        asked = list(rules.runs.all()[:10])
        trial = next((each for each in asked if each.kind == Kind.TRIAL and each.state == State.DONE), None)
        busy = any(each.state in (State.WAITING, State.RUNNING) for each in asked)
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("What if, and adopt"),
            "rules": rules,
            "in_force": MatchRules.objects.filter(in_force=True).first(),
            "runs": [_shown(each) for each in asked],
            "busy": busy,
            "trial": trial,
            "lines": _difference(trial.result) if trial else [],
            "changed": _changed(trial.result) if trial else [],
            "may_adopt": trial is not None and not rules.in_force and not busy,
            "form": form,
            "back": reverse("admin:pix_matchrules_change", args=[rules.pk]),
        }

    @display(description=_("links from a score of"))
    def link_from(self, row: MatchRules) -> str:
        return str(row.rules["link"])

    @display(description=_("asks a clerk from a score of"))
    def review_from(self, row: MatchRules) -> str:
        return str(row.rules["review"])

    @display(description=_("hard rules"))
    def hard_rules(self, row: MatchRules) -> str:
        return ", ".join(row.rules["hard_rules"])

    @display(description=_("pairs learned from"))
    def learned_from(self, row: MatchRules) -> str:
        return str(row.rules["trained_on"])

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def _shown(run: RulesRun) -> dict[str, Any]:
    return {
        "kind": Kind(run.kind).label,
        "state": State(run.state).label,
        "code": run.state,
        "asked_by": run.asked_by,
        "asked_at": run.asked_at,
        "ended_at": run.ended_at,
        "reason": run.reason,
        "done": run.done,
        "total": run.total,
        "percent": 100 if run.state == State.DONE else round(100 * run.done / run.total) if run.total else 0,
    }


def _difference(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What is now beside what would be."""
    lines = (
        (_("Charts"), result["charts"], result["charts"]),
        (_("Persons"), result["persons_now"], result["persons"]),
        (_("Cases waiting"), result["review_now"], result["review"]),
    )
    return [{"label": label, "now": now, "then": then, "more": then - now} for label, now, then in lines]


def _changed(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The first persons that would come of several, and that would become several, with the charts of each."""
    kinds = (
        ("joined", _("Persons that would be joined"), result["joined"], result["joined_charts"]),
        ("parted", _("Persons that would be parted"), result["parted"], result["parted_charts"]),
    )
    wanted = {chart for *_rest, groups in kinds for group in groups for chart in group}
    shown = LocalIdentifier.objects.select_related("person").in_bulk(wanted)
    return [
        {
            "code": code,
            "title": title,
            "count": count,
            "left_out": count - len(groups),
            "groups": [[_chart(shown[chart]) for chart in group if chart in shown] for group in groups],
        }
        for code, title, count, groups in kinds
    ]


def _patients(changed: list[dict[str, Any]]) -> tuple[Subject, ...]:
    """Everybody whom the page shows."""
    shown = (chart["regional_id"] for kind in changed for group in kind["groups"] for chart in group)
    authority = network.affinity_domain()
    return tuple(Subject(Identifier(each, authority), each) for each in dict.fromkeys(shown))


def _chart(row: LocalIdentifier) -> dict[str, Any]:
    facility = network.facility(row.facility_code)
    kanji = f"{row.ideographic_family} {row.ideographic_given}".strip()
    return {
        "text": " ".join(
            filter(
                None,
                (
                    kanji or f"{row.phonetic_family} {row.phonetic_given}".strip(),
                    day(row.birth_date),
                    f"({facility.name if facility else row.facility_code} {row.value})",
                ),
            )
        ),
        "url": reverse("admin:pix_person_change", args=[row.person_id]),
        "regional_id": row.person.regional_id,
    }
