"""The network in the admin: facilities, nodes, certificates, authorities, communities, and who may sign in.

"Add a hospital" is one form; it ends with the connection sheet and, once, with the certificate and its key.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
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
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
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
    AssigningAuthority,
    Community,
    Facility,
    FacilityKind,
    Node,
    NodeCertificate,
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
        return _shown_end(row.until) if row.until else ("none", gettext("no certificate"))

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


class EndsFilter(admin.SimpleListFilter):
    """Certificates by when they end; withdrawn ones by themselves."""

    title = _("end")
    parameter_name = "ends"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("soon", _("newest of its node, within 30 days or over")),
            ("valid", _("valid")),
            ("over", _("expired")),
            ("withdrawn", _("withdrawn")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[NodeCertificate]) -> QuerySet[NodeCertificate]:
        now = timezone.now()
        if self.value() == "soon":
            nodes = (
                Node.objects.filter(enabled=True, facility__enabled=True)
                .annotate(until=Max("certificates__valid_until", filter=Q(certificates__revoked_at=None)))
                .filter(until__lt=now + timedelta(days=30))
            )
            newest = nodes.order_by().values("until")
            return queryset.filter(node__in=nodes.values("pk"), revoked_at=None, valid_until__in=newest)
        conditions = {
            "valid": Q(revoked_at=None, valid_until__gt=now),
            "over": Q(valid_until__lte=now),
            "withdrawn": Q(revoked_at__isnull=False),
        }
        return queryset.filter(conditions.get(self.value() or "", Q()))


class CertificateForm(forms.ModelForm):
    """Bind a certificate that was made elsewhere: the node and the file are all that is asked."""

    upload = forms.FileField(label=_("certificate"), widget=UnfoldAdminFileFieldWidget, help_text=_("PEM or DER."))

    class Meta:
        model = NodeCertificate
        fields = ("node",)

    def clean_upload(self) -> bytes:
        upload = self.cleaned_data["upload"]
        if upload.size > MAX_CERTIFICATE_BYTES:
            raise ValidationError(_("This is too large for a certificate."))
        content: bytes = upload.read()
        return content

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("node") and cleaned.get("upload"):
            try:
                self.instance = services.bind_certificate(node_name=cleaned["node"].name, certificate=cleaned["upload"])
            except ValueError as refused:
                self.add_error("upload", str(refused))
        return cleaned


@admin.register(NodeCertificate)
class NodeCertificateAdmin(Kept):
    """Which certificate stands for which node, now and before."""

    list_display = ("node", "subject", "shown_fingerprint", "valid_from", "shown_until", "shown_state")
    list_filter = (EndsFilter,)
    list_select_related = ("node",)
    search_fields = ("node__name", "node__facility__name", "subject", "fingerprint")
    search_help_text = _("Node, facility, subject or fingerprint")
    autocomplete_fields = ("node",)
    readonly_fields = ("node", "fingerprint", "subject", "issuer", "valid_from", "valid_until", "revoked_at", "pem")
    actions = ["withdraw"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **({} if obj else {"form": CertificateForm}), **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "created_at") if obj else ("node", "upload")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "created_at") if obj else ()

    def save_model(self, request: HttpRequest, obj: NodeCertificate, form: Any, change: bool) -> None:
        """The form has bound the certificate already."""

    @display(description=_("fingerprint"))
    def shown_fingerprint(self, row: NodeCertificate) -> str:
        return f"{row.fingerprint[:16]}…"

    @display(
        description=_("valid until"),
        ordering="valid_until",
        label={"good": "default", "soon": "warning", "over": "danger", "none": "default"},
    )
    def shown_until(self, row: NodeCertificate) -> tuple[str, str]:
        return _shown_end(row.valid_until)

    @display(description=_("state"), ordering="revoked_at", label={"on": "success", "off": "danger"})
    def shown_state(self, row: NodeCertificate) -> tuple[str, str]:
        return ("off", gettext("withdrawn")) if row.revoked_at else ("on", gettext("believed"))

    @admin.action(description=_("Withdraw: believe these certificates no longer"), permissions=["change"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[NodeCertificate]) -> None:
        for row in queryset.filter(revoked_at=None):
            services.withdraw_certificate(fingerprint=row.fingerprint)
            self.log_change(request, row, [{"changed": {"fields": ["revoked_at"]}}])
        self.message_user(request, _("The certificates are withdrawn."), messages.SUCCESS)


@admin.register(AssigningAuthority)
class AssigningAuthorityAdmin(Kept):
    """Who assigns identifiers."""

    list_display = ("name", "namespace", "oid", "facility", "shown_role")
    list_select_related = ("facility",)
    search_fields = ("name", "namespace", "oid", "facility__code")
    search_help_text = _("Name, namespace, OID or facility code")
    autocomplete_fields = ("facility",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("oid",) if obj else ()

    @display(description=_("role"), label={"domain": "info", "facility": "default"})
    def shown_role(self, row: AssigningAuthority) -> tuple[str, str]:
        return (
            ("domain", gettext("regional identifiers"))
            if row.is_affinity_domain
            else ("facility", gettext("chart numbers"))
        )


@admin.register(Community)
class CommunityAdmin(Kept):
    """Our own network and the others."""

    list_display = ("name", "home_community_oid", "is_own", "enabled")
    list_filter = ("enabled",)
    search_fields = ("name", "home_community_oid")
    search_help_text = _("Name or OID")
    fieldsets = (
        (None, {"fields": ("name", "home_community_oid", "is_own", "enabled")}),
        (_("Gateway"), {"fields": ("discovery_address", "query_address", "retrieve_address")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("is_own", "home_community_oid") if obj else ("is_own",)


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    """Who may sign in to this site."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    """Rights that several people share."""


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


def _shown_end(until: Any) -> tuple[str, str]:
    now = timezone.now()
    state = "over" if until <= now else "soon" if until < now + timedelta(days=30) else "good"
    return state, timezone.localtime(until).strftime("%Y-%m-%d")
