"""Facilities and nodes: "Add a hospital" is one form, which ends with the connection sheet and, once, with the key."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Max, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from apps.network import services
from apps.network.models import (
    ENTITLEMENTS,
    Facility,
    FacilityKind,
    Node,
    validate_facility_code,
)
from apps.network.services.members import USUAL_ACCESSES, keep_authority
from hie.values import facilities

MAX_CERTIFICATE_BYTES = 64 * 1024


class HospitalForm(forms.Form):
    """Everything that a hospital needs to join, on one page."""

    code = forms.CharField(
        label=_("Facility code"),
        max_length=10,
        validators=[validate_facility_code],
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric", "autofocus": True}),
        help_text=_("Medical institution code of ten digits: prefecture, point table, seven-digit code."),
    )
    name = forms.CharField(label=_("Name"), max_length=200, widget=UnfoldAdminTextInputWidget)
    kana = forms.CharField(label=_("Name in kana"), max_length=200, required=False, widget=UnfoldAdminTextInputWidget)
    kind = forms.ChoiceField(
        label=_("Kind"),
        required=False,
        choices=[("", _("By the facility code")), *FacilityKind.choices],
        widget=UnfoldAdminSelectWidget,
    )
    contact = forms.CharField(
        label=_("Contact"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text=_("Whom to call when its systems misbehave: name, telephone, e-mail."),
    )
    node_name = forms.CharField(
        label=_("Name of its node"),
        max_length=40,
        required=False,
        validators=Node._meta.get_field("name").validators,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("The system that speaks for it: small letters, digits, hyphens. Empty: h and the facility code."),
    )
    sending_application = forms.CharField(
        label=_("Sending application (MSH-3)"), max_length=180, required=False, widget=UnfoldAdminTextInputWidget
    )
    sending_facility = forms.CharField(
        label=_("Sending facility (MSH-4)"),
        max_length=180,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("As its HL7 v2 messages have them. Needed only where it sends HL7 v2."),
    )
    certificate = forms.FileField(
        label=_("Certificate"),
        required=False,
        widget=UnfoldAdminFileFieldWidget,
        help_text=_("PEM or DER. Empty: the built-in authority issues one (demonstration and test)."),
    )

    ENTITLEMENTS = tuple(ENTITLEMENTS.items())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for access, column in self.ENTITLEMENTS:
            self.fields[column] = forms.BooleanField(
                label=Node._meta.get_field(column).verbose_name,  # type: ignore[union-attr]
                required=False,
                initial=access in USUAL_ACCESSES,
                widget=UnfoldBooleanSwitchWidget,
            )

    @property
    def sections(self) -> list[tuple[Any, list[forms.BoundField]]]:
        """The fields in the groups of the page."""
        groups = (
            (_("The facility"), ("code", "name", "kana", "kind", "contact")),
            (_("Its node"), ("node_name", "sending_application", "sending_facility", "certificate")),
            (_("What it may do"), tuple(ENTITLEMENTS.values())),
        )
        return [(title, [self[name] for name in names]) for title, names in groups]

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if Facility.objects.filter(code=code).exists():
            raise ValidationError(_("This facility is in the network already; add a node to it instead."))
        return code

    def clean_certificate(self) -> bytes:
        upload = self.cleaned_data["certificate"]
        if not upload:
            return b""
        if upload.size > MAX_CERTIFICATE_BYTES:
            raise ValidationError(_("This is too large for a certificate."))
        content: bytes = upload.read()
        return content

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("code") and "node_name" in cleaned and not cleaned["node_name"]:
            cleaned["node_name"] = f"h{cleaned['code']}"
        if Node.objects.filter(name=cleaned.get("node_name", "")).exists():
            self.add_error("node_name", _("There is a node of this name already."))
        if bool(cleaned.get("sending_facility")) != bool(cleaned.get("sending_application")):
            self.add_error("sending_facility", _("Give both MSH-3 and MSH-4, or neither."))
        return cleaned

    def save(self) -> services.Joined:
        """Add the hospital. Raises ValidationError where something cannot be."""
        values = self.cleaned_data
        try:
            return services.add_hospital(
                **{
                    name: values[name]
                    for name in (
                        "code",
                        "name",
                        "kana",
                        "kind",
                        "contact",
                        "node_name",
                        "sending_application",
                        "sending_facility",
                        "certificate",
                    )
                },
                accesses=[access for access, column in self.ENTITLEMENTS if values[column]],
            )
        except (ValueError, services.NoBuiltInAuthorityError) as refused:
            raise ValidationError(str(refused)) from None


class NodeInline(TabularInline):
    model = Node
    fields = ("name", "sending_application", "sending_facility", "enabled")
    extra = 0
    show_change_link = True
    can_delete = False


class Kept(ModelAdmin):
    """Rows that messages and records point at: they are switched off, never deleted."""

    list_filter_submit = False
    show_full_result_count = False
    warn_unsaved_form = True

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Facility)
class FacilityAdmin(Kept):
    """Members of the network."""

    list_display = ("name", "code", "shown_kind", "nodes_count", "shown_enabled")
    list_filter = ("enabled", "kind")
    search_fields = ("code", "name", "kana")
    search_help_text = _("Facility code, name or kana")
    readonly_fields = ("created_at",)
    inlines = [NodeInline]
    actions = ["switch_off", "switch_on"]
    actions_list = ["add_hospital"]
    fieldsets = (
        (None, {"fields": ("code", "name", "kana", "kind", "contact", "enabled", "created_at")}),
        (_("Identifiers"), {"fields": ("patient_id_oid", "repository_oid", "hosted_repository")}),
        (
            _("How it writes chart numbers"),
            {
                "fields": (
                    "patient_id_length",
                    "patient_id_pad",
                    "patient_id_strip_zeros",
                    "patient_id_uppercase",
                ),
                "description": _("Two spellings that come out the same after these rules are one chart number."),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Facility]:
        return super().get_queryset(request).annotate(nodes_total=Count("nodes"))

    def get_readonly_fields(self, request: HttpRequest, obj: Facility | None = None) -> tuple[str, ...]:
        fixed = ("code", "patient_id_oid", "repository_oid") if obj else ()
        return (*self.readonly_fields, *fixed)

    @display(description=_("kind"), ordering="kind", label=True)
    def shown_kind(self, row: Facility) -> str:
        return str(FacilityKind(row.kind).label) if row.kind in FacilityKind.values else row.kind

    @display(description=_("nodes"), ordering="nodes_total")
    def nodes_count(self, row: Any) -> int:
        return int(row.nodes_total)

    @display(description=_("state"), ordering="enabled", label={"on": "success", "off": "danger"})
    def shown_enabled(self, row: Facility) -> tuple[str, str]:
        return _shown_state(row.enabled)

    def save_model(self, request: HttpRequest, obj: Facility, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        keep_authority(obj)
        _warn_of_check_digit(request, obj.code)

    @admin.action(description=_("Switch off: refuse these facilities at every door"), permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Facility]) -> None:
        _switch(self, request, queryset, enabled=False)

    @admin.action(description=_("Switch on"), permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Facility]) -> None:
        _switch(self, request, queryset, enabled=True)

    @action(description=_("Add a hospital"), url_path="add-hospital", icon="add_business", permissions=["add"])
    def add_hospital(self, request: HttpRequest) -> HttpResponse:
        form = HospitalForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            try:
                joined = form.save()
            except ValidationError as refused:
                form.add_error(None, refused)
            else:
                self.log_addition(request, joined.facility, [{"added": {}}])
                _warn_of_check_digit(request, joined.facility.code)
                return _sheet_page(self, request, joined.node, joined.issued)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Add a hospital"),
            "form": form,
        }
        return TemplateResponse(request, "admin/network/add_hospital.html", context)


@admin.register(Node)
class NodeAdmin(Kept):
    """Systems that speak for facilities."""

    list_display = ("name", "facility", "sender", "shown_accesses", "certificate_until", "shown_enabled")
    list_filter = ("enabled", *ENTITLEMENTS.values())
    list_select_related = ("facility",)
    search_fields = ("name", "facility__name", "facility__code", "sending_application", "sending_facility")
    search_help_text = _("Name, facility, MSH-3 or MSH-4")
    autocomplete_fields = ("facility",)
    readonly_fields = ("created_at",)
    actions = ["switch_off", "switch_on"]
    actions_detail = ["connection_sheet", "issue_certificate"]
    fieldsets = (
        (None, {"fields": ("name", "facility", "enabled", "created_at")}),
        (
            _("HL7 v2"),
            {
                "fields": ("sending_application", "sending_facility"),
                "description": _("Without TLS a node is known by these two; over TLS its certificate decides."),
            },
        ),
        (_("What it may do"), {"fields": (*ENTITLEMENTS.values(), "limited_metadata")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Node]:
        until = Max("certificates__valid_until", filter=Q(certificates__revoked_at=None))
        return super().get_queryset(request).annotate(until=until)

    def get_readonly_fields(self, request: HttpRequest, obj: Node | None = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "name", "facility") if obj else self.readonly_fields

    @display(description="MSH-4 | MSH-3")
    def sender(self, row: Node) -> str:
        return f"{row.sending_facility} | {row.sending_application}" if row.sending_application else "-"

    @display(description=_("may"))
    def shown_accesses(self, row: Node) -> str:
        columns = [column for access, column in ENTITLEMENTS.items() if access in row.accesses]
        return ", ".join(str(Node._meta.get_field(column).verbose_name) for column in columns)  # type: ignore[union-attr]

    @display(
        description=_("certificate until"),
        ordering="until",
        label={"good": "default", "soon": "warning", "over": "danger", "none": "default"},
    )
    def certificate_until(self, row: Any) -> tuple[str, str]:
        return shown_end(row.until) if row.until else ("none", gettext("no certificate"))

    @display(description=_("state"), ordering="enabled", label={"on": "success", "off": "danger"})
    def shown_enabled(self, row: Node) -> tuple[str, str]:
        return _shown_state(row.enabled)

    @admin.action(description=_("Switch off: refuse these nodes within seconds"), permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Node]) -> None:
        _switch(self, request, queryset, enabled=False)

    @admin.action(description=_("Switch on"), permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Node]) -> None:
        _switch(self, request, queryset, enabled=True)

    @action(description=_("Connection sheet"), url_path="sheet", icon="description", permissions=["view"])
    def connection_sheet(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return _sheet_page(self, request, self._node(request, object_id), None)

    @action(description=_("Issue a certificate"), url_path="issue", icon="verified_user", permissions=["change"])
    def issue_certificate(self, request: HttpRequest, object_id: int) -> HttpResponse:
        node = self._node(request, object_id)
        if request.method != "POST":
            context = {
                **self.admin_site.each_context(request),
                "title": _("Issue a certificate"),
                "node": node,
            }
            return TemplateResponse(request, "admin/network/issue_certificate.html", context)
        try:
            issued = services.issue_certificate(node_name=node.name)
        except services.NoBuiltInAuthorityError as refused:
            self.message_user(request, str(refused), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:network_node_change", args=[node.pk]))
        self.log_change(request, node, [{"added": {"name": "certificate", "object": issued.fingerprint[:16]}}])
        return _sheet_page(self, request, node, issued)

    def _node(self, request: HttpRequest, object_id: int) -> Node:
        node = self.get_object(request, str(object_id))
        if node is None:
            raise Http404
        return node


def _sheet_page(
    model_admin: ModelAdmin, request: HttpRequest, node: Node, issued: services.IssuedCertificate | None
) -> HttpResponse:
    """The connection sheet; right after a certificate was issued, with its key, which is shown this once."""
    context = {
        **model_admin.admin_site.each_context(request),
        **services.sheet_facts(node_name=node.name),
        "title": _("Connection sheet"),
        "issued": issued,
        "package": b64encode(services.connection_package(issued)).decode("ascii") if issued else "",
    }
    response = TemplateResponse(request, "admin/network/connection_sheet.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _warn_of_check_digit(request: HttpRequest, code: str) -> None:
    if not facilities.check_digit_holds(code):
        messages.warning(
            request, _("The check digit of the facility code does not fit; compare it with the official list.")
        )


def _switch(model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Any], *, enabled: bool) -> None:
    """Switch facilities or nodes on or off, each with its entry in the history."""
    if not model_admin.has_change_permission(request):
        raise PermissionDenied
    rows = list(queryset)
    for row in rows:
        if isinstance(row, Node):
            services.set_node_enabled(name=row.name, enabled=enabled)
        else:
            services.set_facility_enabled(code=row.code, enabled=enabled)
        model_admin.log_change(request, row, [{"changed": {"fields": ["enabled"]}}])
    text = (
        ngettext("%(count)d switched on.", "%(count)d switched on.", len(rows))
        if enabled
        else ngettext("%(count)d switched off.", "%(count)d switched off.", len(rows))
    )
    model_admin.message_user(request, text % {"count": len(rows)}, messages.SUCCESS)


def _shown_state(enabled: bool) -> tuple[str, str]:
    return ("on", gettext("on")) if enabled else ("off", gettext("switched off"))


def shown_end(until: Any) -> tuple[str, str]:
    now = timezone.now()
    state = "over" if until <= now else "soon" if until < now + timedelta(days=30) else "good"
    return state, timezone.localtime(until).strftime("%Y-%m-%d")
