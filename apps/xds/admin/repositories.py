"""Around the registry: codes, consumers, subscriptions, what waits to be delivered, and the checks of documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action

from apps.atna.admin import AuditedAdmin, ReadOnly
from apps.network.queries import facilities
from apps.xds.admin.registry import moment
from apps.xds.models import (
    AcceptedCode,
    DocumentCheck,
    Endpoint,
    Outgoing,
    RepositoryCheck,
    Subscription,
)
from apps.xds.outbox import discard
from apps.xds.queries.wording import worded_facility
from apps.xds.rules import subjects_of_patients
from apps.xds.services import dump_codes, load_codes
from hie.values.access import Subject
from hie.values.errors import ExchangeError
from hie.values.identifiers import masked


class CodesForm(forms.Form):
    """A codes.xml to take in."""

    file = forms.FileField(label=_("codes.xml"))
    replace = forms.BooleanField(label=_("Switch off the codes that the file does not list"), required=False)

    def save(self) -> int:
        """The number of codes added or changed; what is wrong with the file becomes errors of the form: -1."""
        try:
            return load_codes(self.cleaned_data["file"].read(), replace=self.cleaned_data["replace"])
        except ExchangeError as error:
            for finding in error.findings[:20]:
                self.add_error("file", finding.detail)
            return -1


@admin.register(AcceptedCode)
class AcceptedCodeAdmin(ModelAdmin):
    """The code sets of the network."""

    list_display = ("code", "display", "attribute", "scheme", "enabled")
    list_editable = ("enabled",)
    list_filter = ("attribute", "enabled")
    search_fields = ("code", "display", "scheme")
    search_help_text = _("Code, name or scheme")
    show_full_result_count = False
    actions_list = ("take_in", "write_out")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @action(description=_("Load codes.xml"), url_path="load", icon="upload", permissions=["add"])
    def take_in(self, request: HttpRequest) -> HttpResponse:
        back = reverse("admin:xds_acceptedcode_changelist")
        form = CodesForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid() and (changed := form.save()) >= 0:
            said = ngettext("%(count)d code added or changed.", "%(count)d codes added or changed.", changed)
            messages.success(request, said % {"count": changed})
            return HttpResponseRedirect(back)
        context = {**self.admin_site.each_context(request), "title": gettext("Load codes.xml"), "form": form}
        return TemplateResponse(request, "admin/asking.html", context | {"back": back})

    @action(description=_("Save codes.xml"), url_path="save", icon="download", permissions=["view"])
    def write_out(self, request: HttpRequest) -> HttpResponse:
        headers = {"Content-Disposition": 'attachment; filename="codes.xml"'}
        return HttpResponse(dump_codes(), content_type="application/xml", headers=headers)


@admin.register(Endpoint)
class EndpointAdmin(ModelAdmin):
    """Addresses that members' systems have registered for answers and notifications."""

    list_display = ("node_name", "url")
    search_fields = ("node_name", "url")


@admin.register(Subscription)
class SubscriptionAdmin(AuditedAdmin):
    """Who is told of what. A subscription may be ended here; it is made by its system."""

    list_display = ("node_name", "topic", "whom", "state", "ends_at", "created_at")
    list_filter = ("topic", "any_patient")
    search_fields = ("node_name", "reference")
    fields = ("node_name", "its_facility", "topic", "whom", "conditions", "consumer", "state", "ends_at", "created_at")

    def subjects_of(self, row: Subscription) -> Iterable[Subject]:
        return subjects_of_patients(row.patients.values_list("patient_id", flat=True))

    @admin.display(description=_("facility"), ordering="facility_code")
    def its_facility(self, row: Subscription) -> str:
        return str(worded_facility(row.facility_code))

    @admin.display(description=_("patients"), ordering="any_patient")
    def whom(self, row: Subscription) -> str:
        if row.any_patient:
            return gettext("any patient")
        return "\n".join(masked(each.patient_id) for each in row.patients.all())

    @admin.display(description=_("state"))
    def state(self, row: Subscription) -> str:
        ended = row.ends_at is not None and row.ends_at <= timezone.now()
        return gettext("ended") if ended else gettext("in force")

    @admin.display(description=_("filter"))
    def conditions(self, row: Subscription) -> str:
        """The parameters of the query; the patients, who are masked, stand above."""
        named = ((name, values) for name, slots in row.query.items() for values in slots)
        lines = (f"{name}: {', '.join(values)}" for name, values in named if not name.endswith("PatientId"))
        return "\n".join(lines) or gettext("everything")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        return super().get_queryset(request).prefetch_related("patients")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(RepositoryCheck)
class RepositoryCheckAdmin(ReadOnly, ModelAdmin):
    """The repositories whose documents lie here, as the last check found them."""

    list_display = ("name", "documents", "bytes", "lost", "altered", "closed", "checked_at", "read")
    fields = ("name", "repository_unique_id", "documents", "bytes", "lost", "altered", "closed", "checked_at", "read")
    ordering = ("repository_unique_id",)

    @admin.display(description=_("repository"), ordering="repository_unique_id")
    def name(self, row: RepositoryCheck) -> str:
        if row.repository_unique_id == settings.REPOSITORY_OID:
            return gettext("Repository of the network")
        owners = [each for each in facilities() if each.repository_oid == row.repository_unique_id]
        return f"{owners[0].name} ({owners[0].code})" if owners else row.repository_unique_id

    @admin.display(description=_("size"), ordering="size")
    def bytes(self, row: RepositoryCheck) -> str:
        return filesizeformat(row.size)


@admin.register(DocumentCheck)
class DocumentCheckAdmin(ReadOnly, ModelAdmin):
    """The checks of all documents: what each found, and how far one has come that goes on."""

    list_display = ("began_at", "state", "contents", "found", "read")
    fields = ("began_at", "state", "alive_at", "contents", "found", "read")
    ordering = ("-began_at",)

    @admin.display(description=_("ended"), ordering="ended_at")
    def state(self, row: DocumentCheck) -> str:
        return moment(row.ended_at) if row.ended_at else gettext("under way")

    @admin.display(description=_("faults"))
    def found(self, row: DocumentCheck) -> str:
        said = (f"{KINDS_OF_FAULTS.get(kind, kind)} {count}" for kind, count in sorted(row.faults.items()))
        return "、".join(said) if row.faults else gettext("none")


# What ``check_documents`` names (apps/xds/services/checking.py), in words.
KINDS_OF_FAULTS = {
    "lost": _("lost"),
    "altered": _("altered"),
    "closed": _("key is missing"),
    "orphan": _("needed by no entry"),
    "half": _("half-written"),
    "unmapped": _("not in the id map"),
    "stale": _("left in the id map"),
    "strayed": _("value without its entry"),
}


# Why the outbox could not deliver (apps/xds/outbox.py), in words.
FAILURES = {
    "CallError": _("no answer"),
    "NotCalledError": _("address withdrawn, or system switched off"),
}


@admin.register(Outgoing)
class OutgoingAdmin(AuditedAdmin):
    """Messages that nobody has taken yet."""

    list_display = ("what", "url", "state", "attempts", "failure", "due_at")
    list_filter = ("given_up", "number")
    fields = ("what", "url", "state", "attempts", "failure", "due_at", "created_at")

    def subjects_of(self, row: Outgoing) -> Iterable[Subject]:
        return subjects_of_patients((row.patient_id,)) if row.patient_id else ()

    @admin.display(description=_("message"), ordering="number")
    def what(self, row: Outgoing) -> str:
        return gettext("notification (%(number)s)") % {"number": row.number} if row.number else gettext("answer")

    @admin.display(description=_("state"), ordering="given_up")
    def state(self, row: Outgoing) -> str:
        return gettext("given up") if row.given_up else gettext("waiting")

    @admin.display(description=_("last failure"))
    def failure(self, row: Outgoing) -> str:
        """What the outbox wrote down, an error and an HTTP status, in words."""
        error, _sep, status = row.last_failure.partition(" ")
        if status:
            return gettext("answered with HTTP %(status)s") % {"status": status}
        return str(FAILURES.get(error, row.last_failure))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Outgoing) -> None:
        discard((obj,))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Outgoing]) -> None:
        discard(queryset)
