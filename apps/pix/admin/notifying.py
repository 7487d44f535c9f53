"""Who is told of what happens to persons, and the notifications on their way (ITI-10, ITI-46)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import display

from apps.atna.admin import AuditedAdmin, ReadOnly
from apps.pix import outbox, services
from apps.pix.admin.index import subject_of
from apps.pix.models import Notification, Subscription
from hie.values.access import Subject
from hie.values.identifiers import masked


@admin.register(Subscription)
class SubscriptionAdmin(AuditedAdmin):
    """Who is told of changed links, and how it goes."""

    list_display = ("node", "kind", "address", "waiting", "shown_state", "last_sent_at", "next_attempt_at")
    list_filter = ("kind", "enabled")
    list_select_related = ("node",)
    autocomplete_fields = ("node",)
    readonly_fields = ("failures", "last_problem", "last_sent_at", "next_attempt_at")
    fields = (
        "node",
        "kind",
        "address",
        "domains",
        "receiving_application",
        "receiving_facility",
        "enabled",
        *readonly_fields,
    )
    actions = ("try_now",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        waiting = Count("notifications", filter=Q(notifications__done_at=None))
        return super().get_queryset(request).annotate(waiting_rows=waiting)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        outbox.forget_wishes()

    @display(description=_("waiting"), ordering="waiting_rows")
    def waiting(self, row: Any) -> int:
        return int(row.waiting_rows)

    @display(description=_("state"), label={"on": "success", "off": "default", "failing": "danger"})
    def shown_state(self, row: Subscription) -> tuple[str, str]:
        if not row.enabled:
            return "off", str(_("switched off"))
        return ("failing", row.last_problem) if row.failures else ("on", str(_("in order")))

    @admin.action(description=_("Try again now"), permissions=["change"])
    def try_now(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        services.retry_now(queryset.values_list("pk", flat=True))
        messages.success(request, _("They are tried again at once."))


@admin.register(Notification)
class NotificationAdmin(ReadOnly, AuditedAdmin):
    """What is to be told, what was told, and what stands in the way."""

    list_display = ("changed_at", "subscription", "shown_state", "person_handle", "attempts", "problem", "done_at")
    list_filter = ("state", "subscription", ("changed_at", RangeDateFilter))
    list_select_related = ("subscription__node", "person", "record__person", "previous")
    search_fields = ("=message_id",)
    search_help_text = _("Message id")
    fields = (
        "subscription",
        "state",
        "person_handle",
        "previous_handle",
        "message_id",
        "attempts",
        "problem",
        "changed_at",
        "done_at",
    )
    readonly_fields = fields
    actions = ("try_now", "give_up")
    list_per_page = 50

    def subjects_of(self, row: Notification) -> Iterable[Subject]:
        person = row.person or (row.record.person if row.record else None)
        return (subject_of(person.regional_id),) if person else ()

    @display(
        description=_("state"),
        ordering="state",
        label={"waiting": "info", "sending": "warning", "sent": "success", "nothing": "default", "dropped": "danger"},
    )
    def shown_state(self, row: Notification) -> tuple[str, str]:
        return row.state, str(Notification.State(row.state).label)

    @display(description=_("person"))
    def person_handle(self, row: Notification) -> str:
        person = row.person or (row.record.person if row.record else None)
        return masked(person.regional_id) if person else "-"

    @display(description=_("previous person"))
    def previous_handle(self, row: Notification) -> str:
        return masked(row.previous.regional_id) if row.previous else "-"

    def has_administer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pix.change_notification")

    @admin.action(description=_("Try again now"), permissions=["administer"])
    def try_now(self, request: HttpRequest, queryset: QuerySet[Notification]) -> None:
        services.retry_now(queryset.values_list("subscription", flat=True).distinct())
        messages.success(request, _("They are tried again at once."))

    @admin.action(description=_("Give up: never send these"), permissions=["administer"])
    def give_up(self, request: HttpRequest, queryset: QuerySet[Notification]) -> None:
        count = services.give_up(queryset.values_list("pk", flat=True))
        messages.success(request, _("%(count)d given up.") % {"count": count})
