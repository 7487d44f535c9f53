"""Certificates of nodes: which, until when, and a new one of the member's own authority."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Max, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminFileFieldWidget

from apps.network import services
from apps.network.admin.members import MAX_CERTIFICATE_BYTES, Kept, shown_end
from apps.network.models import Node, NodeCertificate


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
        return shown_end(row.valid_until)

    @display(description=_("state"), ordering="revoked_at", label={"on": "success", "off": "danger"})
    def shown_state(self, row: NodeCertificate) -> tuple[str, str]:
        return ("off", gettext("withdrawn")) if row.revoked_at else ("on", gettext("believed"))

    @admin.action(description=_("Withdraw: believe these certificates no longer"), permissions=["change"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[NodeCertificate]) -> None:
        for row in queryset.filter(revoked_at=None):
            services.withdraw_certificate(fingerprint=row.fingerprint)
            self.log_change(request, row, [{"changed": {"fields": ["revoked_at"]}}])
        self.message_user(request, _("The certificates are withdrawn."), messages.SUCCESS)
