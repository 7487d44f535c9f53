"""Consent as a clerk handles it: record a wish from a form, revoke it, look through broken glass, set the policy.

The patient is chosen by facility and chart number, never by the regional ID, which is masked everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.widgets import (
    UnfoldAdminSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from apps.atna.admin import AuditedAdmin, ReadOnly
from apps.consent.models import Directive, Effect, EmergencyAccess, NetworkPolicy
from apps.consent.services import decide_policy, record_directive, review_emergency, revoke_directive
from apps.network.queries import facilities, facility
from apps.pix.queries import regional_id_of
from apps.terminology.queries import codes, label
from hie.values.access import PurposeOfUse, Subject
from hie.values.identifiers import AssigningAuthority, Identifier, masked


def _facility_choices() -> list[tuple[str, str]]:
    return [(each.code, f"{each.name} ({each.code})") for each in facilities()]


def _code_choices(*kinds: str) -> list[tuple[str, str]]:
    found = (each for kind in kinds for each in codes(kind))
    return [(each.code, f"{label(each.scheme, each.code) or each.display} ({each.code})") for each in found]


def _facility_name(code: str) -> str:
    found = facility(code)
    return f"{found.name} ({found.code})" if found else code


def _named(values: list[str], nothing: str) -> str:
    return "、".join(_facility_name(value) for value in values) or nothing


def _subject(regional_id: str) -> Subject:
    return Subject(Identifier(regional_id, AssigningAuthority(settings.AFFINITY_DOMAIN_OID)), regional_id)


class DirectiveForm(forms.ModelForm):
    """A consent form on the screen. Whatever is left empty stands for "all"."""

    patient_facility = forms.ChoiceField(
        label=_("facility of the chart number"),
        choices=_facility_choices,
        widget=UnfoldAdminSelectWidget,
        help_text=_("A facility that knows the patient."),
    )
    chart_number = forms.CharField(
        label=_("chart number"),
        max_length=64,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("The patient's number at this facility. The wish counts for the person, at every facility."),
    )
    recipients = forms.MultipleChoiceField(
        label=_("who may (or must not) see it"),
        choices=_facility_choices,
        required=False,
        widget=UnfoldAdminSelectMultipleWidget,
        help_text=_("Facilities the wish speaks to; none chosen: every facility, later members too."),
    )
    sources = forms.MultipleChoiceField(
        label=_("whose records"),
        choices=_facility_choices,
        required=False,
        widget=UnfoldAdminSelectMultipleWidget,
        help_text=_("Facilities whose records are meant; none chosen: the records of all."),
    )
    kinds = forms.MultipleChoiceField(
        label=_("which kinds of documents"),
        choices=lambda: _code_choices("class", "type"),
        required=False,
        widget=UnfoldAdminSelectMultipleWidget,
        help_text=_("None chosen: all kinds."),
    )
    confidentiality = forms.MultipleChoiceField(
        label=_("confidentiality"),
        choices=lambda: _code_choices("confidentiality"),
        required=False,
        widget=UnfoldAdminSelectMultipleWidget,
        help_text=_("None chosen: whatever its confidentiality."),
    )

    class Meta:
        model = Directive
        fields = (
            "effect",
            "first_care_date",
            "last_care_date",
            "valid_from",
            "valid_until",
            "in_emergency",
            "legal_basis",
            "obtained",
            "note",
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for first, last in (("first_care_date", "last_care_date"), ("valid_from", "valid_until")):
            if cleaned.get(first) and cleaned.get(last) and cleaned[last] < cleaned[first]:
                self.add_error(last, _("The period ends before it begins."))
        if cleaned.get("in_emergency") and cleaned.get("effect") == Effect.PERMIT:
            self.add_error("in_emergency", _("Only a denial can hold in an emergency."))
        cleaned["patient_regional_id"] = self._patient(cleaned)
        return cleaned

    def _patient(self, cleaned: dict[str, Any]) -> str:
        chosen = facility(cleaned.get("patient_facility", ""))
        if chosen is None or not cleaned.get("chart_number"):
            return ""
        regional_id = regional_id_of(Identifier(cleaned["chart_number"].strip(), chosen.authority))
        if regional_id is None:
            self.add_error("chart_number", _("The network knows no patient with this number at this facility."))
        return regional_id or ""


class ReviewForm(forms.Form):
    finding = forms.CharField(label=_("finding of the review"), widget=UnfoldAdminTextareaWidget, max_length=2000)


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("in force", _("in force")), ("revoked", _("revoked"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(revoked_at__isnull=self.value() == "in force") if self.value() else queryset


@admin.register(Directive)
class DirectiveAdmin(AuditedAdmin):
    """Patients' wishes. Added and revoked; never changed, never deleted."""

    form = DirectiveForm
    list_display = ("recorded_at", "patient", "effect", "shown_recipients", "shown_sources", "valid_until", "state")
    list_filter = (StateFilter, "effect", "legal_basis", "obtained")
    search_fields = ("recorded_by", "note")
    actions = ("revoke_selected",)
    actions_detail = ("revoke",)
    fieldsets = (
        (_("The patient"), {"fields": ("patient_facility", "chart_number")}),
        (_("The wish"), {"fields": ("effect", "recipients", "sources", "kinds", "confidentiality")}),
        (_("Which care"), {"fields": (("first_care_date", "last_care_date"),)}),
        (_("From when until when it counts"), {"fields": (("valid_from", "valid_until"), "in_emergency")}),
        (_("How the wish was given"), {"fields": ("legal_basis", "obtained", "note")}),
    )
    kept_fieldsets = (
        (_("The patient"), {"fields": ("patient",)}),
        (_("The wish"), {"fields": ("effect", "shown_recipients", "shown_sources", "shown_kinds", "shown_levels")}),
        (_("Which care"), {"fields": (("first_care_date", "last_care_date"),)}),
        (_("From when until when it counts"), {"fields": (("valid_from", "valid_until"), "in_emergency")}),
        (_("How the wish was given"), {"fields": ("legal_basis", "obtained", "note")}),
        (_("History"), {"fields": ("state", "version", "recorded_by", "recorded_at", "revoked_by", "revoked_at")}),
    )

    def subjects_of(self, row: Directive) -> Iterable[Subject]:
        return (_subject(row.patient_regional_id),)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The model permission "change" is the right to revoke: there is nothing else to change."""
        return bool(request.user.has_perm("consent.change_directive"))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.kept_fieldsets if obj else self.fieldsets

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None:
            kwargs["form"] = forms.ModelForm
        return super().get_form(request, obj, change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Directive, form: Any, change: bool) -> None:
        """The service writes the row; the page goes on with what it wrote."""
        cleaned = form.cleaned_data
        recorded = record_directive(
            permits=cleaned["effect"] == Effect.PERMIT,
            recorded_by=request.user.get_username(),
            **{name: cleaned[name] for name in _DIRECTIVE_FIELDS},
        )
        obj.__dict__.update({key: value for key, value in recorded.__dict__.items() if key != "_state"})
        obj._state.adding = False

    @admin.action(description=_("Revoke the selected directives"), permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[Directive]) -> None:
        revoked = sum(
            revoke_directive(each, revoked_by=request.user.get_username())
            for each in set(queryset.values_list("directive_id", flat=True))
        )
        text = ngettext("%(count)d directive was revoked.", "%(count)d directives were revoked.", revoked)
        self.message_user(request, text % {"count": revoked}, messages.SUCCESS)

    @action(description=_("Revoke"), url_path="revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask once more, then revoke."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        back = reverse("admin:consent_directive_change", args=[row.pk])
        if request.method != "POST":
            question = gettext("Revoke this directive now? It is kept as history and no longer counts.")
            return _confirm(self, request, gettext("Revoke"), question, back)

        def do() -> HttpResponse:
            revoke_directive(row.directive_id, revoked_by=request.user.get_username())
            return HttpResponseRedirect(back)

        return self.audited_work(request, do, gettext("revoked"), row)

    @admin.display(description=_("patient"))
    def patient(self, row: Directive) -> str:
        return masked(row.patient_regional_id)

    @admin.display(description=_("who may (or must not) see it"))
    def shown_recipients(self, row: Directive) -> str:
        return _named(row.recipients, gettext("every facility"))

    @admin.display(description=_("whose records"))
    def shown_sources(self, row: Directive) -> str:
        return _named(row.sources, gettext("every facility"))

    @admin.display(description=_("which kinds of documents"))
    def shown_kinds(self, row: Directive) -> str:
        names = dict(_code_choices("class", "type"))
        return "、".join(names.get(each, each) for each in row.kinds) or gettext("all")

    @admin.display(description=_("confidentiality"))
    def shown_levels(self, row: Directive) -> str:
        names = dict(_code_choices("confidentiality"))
        return "、".join(names.get(each, each) for each in row.confidentiality) or gettext("all")

    @admin.display(description=_("state"))
    def state(self, row: Directive) -> str:
        if row.revoked_at is None:
            return gettext("in force")
        return gettext("revoked") if row.revoked_by else gettext("went with its charts to another person")


_DIRECTIVE_FIELDS = (
    "patient_regional_id",
    "recipients",
    "sources",
    "kinds",
    "confidentiality",
    "first_care_date",
    "last_care_date",
    "valid_from",
    "valid_until",
    "in_emergency",
    "legal_basis",
    "obtained",
    "note",
)


@admin.register(EmergencyAccess)
class EmergencyAccessAdmin(ReadOnly, AuditedAdmin):
    """Broken glass, newest first, until somebody looked into it."""

    list_display = ("occurred_at", "shown_facility", "person", "patient", "shown_purpose", "reason", "reviewed")
    list_filter = (("reviewed_at", admin.EmptyFieldListFilter), "purpose", "facility_code")
    search_fields = ("reason", "person_user_id", "person_name", "node_name")
    actions = None
    actions_detail = ("review",)
    fieldsets = (
        (None, {"fields": ("occurred_at", "patient", "shown_purpose", "access", "reason")}),
        (_("Who"), {"fields": ("shown_facility", "node_name", "person")}),
        (_("Review"), {"fields": ("reviewed_by", "reviewed_at", "finding")}),
    )

    def subjects_of(self, row: EmergencyAccess) -> Iterable[Subject]:
        return (_subject(row.patient_regional_id),)

    def has_review_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The model permission "change" is the right to review."""
        return bool(request.user.has_perm("consent.change_emergencyaccess"))

    @action(description=_("Review"), url_path="review", permissions=["review"])
    def review(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Write down what the review found; once."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        back = reverse("admin:consent_emergencyaccess_change", args=[row.pk])
        form = ReviewForm(request.POST or None)
        if request.method != "POST" or not form.is_valid():
            question = gettext("What did the review of this emergency access find?")
            return _confirm(self, request, gettext("Review"), question, back, form)

        def do() -> HttpResponse:
            review_emergency(row.pk, reviewed_by=request.user.get_username(), finding=form.cleaned_data["finding"])
            return HttpResponseRedirect(back)

        return self.audited_work(request, do, gettext("reviewed"), row)

    @admin.display(description=_("patient"))
    def patient(self, row: EmergencyAccess) -> str:
        return masked(row.patient_regional_id)

    @admin.display(description=_("facility"), ordering="facility_code")
    def shown_facility(self, row: EmergencyAccess) -> str:
        return _facility_name(row.facility_code)

    @admin.display(description=_("person"))
    def person(self, row: EmergencyAccess) -> str:
        return f"{row.person_name} {row.person_user_id}".strip() or row.node_name

    @admin.display(description=_("purpose of use"), ordering="purpose")
    def shown_purpose(self, row: EmergencyAccess) -> str:
        return str(_PURPOSES.get(row.purpose, row.purpose))

    @admin.display(description=_("reviewed"), boolean=True, ordering="reviewed_at")
    def reviewed(self, row: EmergencyAccess) -> bool:
        return row.reviewed_at is not None


_PURPOSES = {
    PurposeOfUse.EMERGENCY.value: _("emergency treatment"),
    PurposeOfUse.BREAK_GLASS.value: _("break the glass"),
}


@admin.register(NetworkPolicy)
class NetworkPolicyAdmin(ModelAdmin):
    """What the network decided; the newest row counts. A new decision is a new row."""

    list_display = ("decided_at", "default_rule", "emergency_allowed", "own_always", "decided_by", "note")
    actions = None
    fields = ("default_rule", "emergency_allowed", "own_always", "note")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: NetworkPolicy, form: Any, change: bool) -> None:
        decided = decide_policy(
            decided_by=request.user.get_username(), **{name: form.cleaned_data[name] for name in self.fields}
        )
        obj.__dict__.update({key: value for key, value in decided.__dict__.items() if key != "_state"})
        obj._state.adding = False


def _confirm(
    model_admin: AuditedAdmin, request: HttpRequest, title: str, question: str, back: str, form: Any = None
) -> HttpResponse:
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": title,
        "question": question,
        "back": back,
        "form": form,
    }
    return TemplateResponse(request, "admin/asking.html", context)
