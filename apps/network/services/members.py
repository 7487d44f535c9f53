"""Adding members and switching them on and off."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.db import transaction

from apps.network.models import ENTITLEMENTS, AssigningAuthority, Community, Facility, Node
from hie.values.access import Access

# What a facility's system usually does; a network narrows or widens it per node.
USUAL_ACCESSES = frozenset({Access.FEED, Access.IDENTIFY, Access.FIND, Access.RETRIEVE, Access.SUBMIT})
AFFINITY_DOMAIN_NAMESPACE = "REGION"


@transaction.atomic
def add_facility(
    *,
    code: str,
    name: str,
    kana: str = "",
    kind: str = "",
    contact: str = "",
    patient_id_oid: str = "",
    repository_oid: str = "",
    namespace: str = "",
) -> Facility:
    """Add a member with the authority of its chart numbers; a member that is there already is returned as it is.

    code: ten digits. kind, the OIDs and the namespace follow from it where they are "".
    Raises ValidationError, by field, where a value cannot be.
    """
    present = Facility.objects.filter(code=code).first()
    if present is not None:
        return present
    facility = Facility(
        code=code,
        name=name,
        kana=kana,
        kind=kind,
        contact=contact,
        patient_id_oid=patient_id_oid,
        repository_oid=repository_oid,
    )
    facility.full_clean()
    facility.save()
    keep_authority(facility, namespace)
    return facility


def keep_authority(facility: Facility, namespace: str = "") -> AssigningAuthority:
    """See to it that the authority of a facility's chart numbers has its row; former ones stay."""
    row, _ = AssigningAuthority.objects.get_or_create(
        oid=facility.patient_id_oid,
        defaults={"namespace": namespace or _free_namespace(facility), "name": facility.name, "facility": facility},
    )
    return row


def _free_namespace(facility: Facility) -> str:
    """``H`` and the facility code; of a second authority of the same facility with a number behind it."""
    count = AssigningAuthority.objects.filter(namespace__startswith=f"H{facility.code}").count()
    return f"H{facility.code}" + (f"-{count + 1}" if count else "")


@transaction.atomic
def add_node(
    *,
    facility_code: str,
    name: str,
    sending_facility: str = "",
    sending_application: str = "",
    accesses: Iterable[Access] = USUAL_ACCESSES,
) -> Node:
    """Add a system that speaks for a facility; one that is there already is returned as it is.

    Raises Facility.DoesNotExist, and ValidationError, by field, where a value cannot be.
    """
    present = Node.objects.filter(name=name).first()
    if present is not None:
        return present
    granted = set(accesses)
    node = Node(
        facility=Facility.objects.get(code=facility_code),
        name=name,
        sending_facility=sending_facility,
        sending_application=sending_application,
        **{column: access in granted for access, column in ENTITLEMENTS.items()},
    )
    node.full_clean()
    node.save()
    return node


def set_node_enabled(*, name: str, enabled: bool) -> None:
    """Switch a node on or off. Other processes follow within ``queries.SECONDS``."""
    node = Node.objects.get(name=name)
    node.enabled = enabled
    node.save(update_fields=["enabled"])


def set_facility_enabled(*, code: str, enabled: bool) -> None:
    """Switch a facility with all its nodes on or off."""
    facility = Facility.objects.get(code=code)
    facility.enabled = enabled
    facility.save(update_fields=["enabled"])


def _domain_namespace() -> str:
    """``REGION``; with a number behind it where a former domain of this installation has it."""
    count = AssigningAuthority.objects.filter(namespace__startswith=AFFINITY_DOMAIN_NAMESPACE).count()
    return AFFINITY_DOMAIN_NAMESPACE + (f"-{count + 1}" if count else "")


def set_own_rows() -> None:
    """Write the rows that the settings decide: the affinity domain's authority and our own community."""
    AssigningAuthority.objects.get_or_create(
        oid=settings.AFFINITY_DOMAIN_OID,
        defaults={"namespace": _domain_namespace(), "name": settings.NETWORK_NAME},
    )
    if not Community.objects.filter(home_community_oid=settings.HOME_COMMUNITY_OID, is_own=True).exists():
        Community.objects.filter(is_own=True).update(is_own=False)
        Community.objects.update_or_create(
            home_community_oid=settings.HOME_COMMUNITY_OID,
            defaults={"name": settings.NETWORK_NAME, "is_own": True, "enabled": True},
        )
