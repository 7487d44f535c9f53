"""What the rest of the exchange asks about its members. Answers are values, remembered for three seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Max, Q

from apps.network import models
from hie.exchange.remembered import remembered
from hie.values.access import Node
from hie.values.facilities import PatientIdProfile
from hie.values.identifiers import AssigningAuthority

# How old an answer may be, and so how long a node that was switched off in another process is still believed.
SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Facility:
    """A member of the network, as messages need it. patient_ids: how it writes its chart numbers.

    hosted_repository: the network keeps what it submits under the member's own repository_oid.
    """

    code: str
    name: str
    kana: str
    kind: str
    enabled: bool
    authority: AssigningAuthority
    repository_oid: str
    patient_ids: PatientIdProfile
    hosted_repository: bool = False

    @property
    def patient_id_oid(self) -> str:
        return self.authority.oid


@dataclass(frozen=True, slots=True)
class Community:
    """A regional network; home_community_id is ``urn:oid:<OID>``."""

    home_community_id: str
    name: str
    is_own: bool
    discovery_address: str = ""
    query_address: str = ""
    retrieve_address: str = ""


@dataclass(frozen=True, slots=True)
class KnownNode:
    """A node as authentication judges it; the certificate it was found by, or none.

    enabled: it and its facility are switched on. sender: ``facility|application`` it sends under, or "|".
    """

    node: Node
    enabled: bool
    sender: str
    fingerprint: str = ""
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    withdrawn: bool = False


def facility(code: str) -> Facility | None:
    """The member with this ten-digit code, switched off or not; None where there is none."""
    return _facilities().get(code)


def facilities() -> tuple[Facility, ...]:
    """All members, in the order of their codes."""
    return tuple(_facilities().values())


def facility_of_authority(oid: str) -> Facility | None:
    """The member whose chart numbers this authority assigns; None for other authorities and unknown ones."""
    found = _authorities_by_name().get(oid)
    return facility(found[1]) if found and found[1] else None


def authority(name: str) -> AssigningAuthority | None:
    """The authority with this OID or namespace, with both filled; None where the network knows none."""
    found = _authorities_by_name().get(name)
    return found[0] if found else None


def authorities() -> tuple[AssigningAuthority, ...]:
    """All authorities that the network knows, the affinity domain among them, in the order of their OIDs."""
    return tuple(dict.fromkeys(each for each, _ in _authorities_by_name().values()))


def affinity_domain() -> AssigningAuthority:
    """The authority of the regional identifiers."""
    return authority(settings.AFFINITY_DOMAIN_OID) or AssigningAuthority(settings.AFFINITY_DOMAIN_OID, "REGION")


@remembered(SECONDS)
def communities() -> tuple[Community, ...]:
    """The regional networks that are switched on, our own first."""
    return tuple(
        Community(
            row.home_community_id,
            row.name,
            row.is_own,
            row.discovery_address,
            row.query_address,
            row.retrieve_address,
        )
        for row in models.Community.objects.filter(enabled=True)
    )


def home_community_id() -> str:
    """Our own homeCommunityId, ``urn:oid:<OID>``."""
    return f"urn:oid:{settings.HOME_COMMUNITY_OID}"


@remembered(SECONDS)
def known_nodes(fingerprint: str, sender: str) -> tuple[KnownNode, ...]:
    """The nodes that this certificate (SHA-256 in hex) or this sender (``MSH-4|MSH-3``) stands for: two at most.

    Either may be "". One query.
    """
    wanted = Q()
    if fingerprint:
        wanted |= Q(certificates__fingerprint=fingerprint)
    sending_facility, _, sending_application = sender.partition("|")
    if sending_facility and sending_application:
        wanted |= Q(sending_facility=sending_facility, sending_application=sending_application)
    if not wanted:
        return ()
    known: dict[str, KnownNode] = {}
    for row in models.Node.objects.filter(wanted).values(*_NODE_COLUMNS):
        each = _known_node(row, fingerprint)
        if each.fingerprint or each.node.name not in known:
            known[each.node.name] = each
    return tuple(known.values())


@remembered(SECONDS)
def node_named(name: str) -> KnownNode | None:
    """The node with this name, switched off or not; None where there is none. One query."""
    row = models.Node.objects.filter(name=name).values(*_NODE_COLUMNS).first()
    return _known_node(row, "") if row is not None else None


_NODE_COLUMNS = (
    "name",
    "enabled",
    "sending_facility",
    "sending_application",
    "facility__code",
    "facility__name",
    "facility__enabled",
    "certificates__fingerprint",
    "certificates__valid_from",
    "certificates__valid_until",
    "certificates__revoked_at",
    *models.ENTITLEMENTS.values(),
    "limited_metadata",
)


def _known_node(row: dict[str, Any], fingerprint: str) -> KnownNode:
    node = Node(
        name=row["name"],
        facility_code=row["facility__code"],
        facility_name=row["facility__name"],
        accesses=frozenset(access for access, column in models.ENTITLEMENTS.items() if row[column]),
        limited_metadata=row["limited_metadata"],
    )
    found = KnownNode(
        node=node,
        enabled=row["enabled"] and row["facility__enabled"],
        sender=f"{row['sending_facility']}|{row['sending_application']}",
    )
    if not fingerprint or row["certificates__fingerprint"] != fingerprint:
        return found
    return replace(
        found,
        fingerprint=fingerprint,
        valid_from=row["certificates__valid_from"],
        valid_until=row["certificates__valid_until"],
        withdrawn=row["certificates__revoked_at"] is not None,
    )


@remembered(SECONDS)
def _authorities_by_name() -> dict[str, tuple[AssigningAuthority, str]]:
    """OID and namespace -> (authority, code of its facility or "")."""
    found: dict[str, tuple[AssigningAuthority, str]] = {}
    rows = models.AssigningAuthority.objects.order_by("oid").values_list("oid", "namespace", "facility__code")
    for oid, namespace, code in rows:
        entry = (AssigningAuthority(oid=oid, namespace=namespace), code or "")
        found[oid] = entry
        found.setdefault(namespace, entry)
    return found


@remembered(SECONDS)
def _facilities() -> dict[str, Facility]:
    by_oid = {each.oid: each for each in authorities()}
    return {
        row.code: Facility(
            code=row.code,
            name=row.name,
            kana=row.kana,
            kind=row.kind,
            enabled=row.enabled,
            authority=by_oid.get(row.patient_id_oid, AssigningAuthority(oid=row.patient_id_oid)),
            repository_oid=row.repository_oid,
            patient_ids=row.patient_id_profile,
            hosted_repository=row.hosted_repository,
        )
        for row in models.Facility.objects.order_by("code")
    }


@dataclass(frozen=True, slots=True)
class NetworkOverview:
    """The network at a glance: members and nodes that are switched on, and certificates that end soon.

    without_certificate: nodes that can only be heard without TLS. until: facility code -> when the last valid
    certificate of one of its nodes ends, the earliest node first.
    """

    facilities: int
    facilities_off: int
    nodes: int
    without_certificate: int
    expiring: int
    until: dict[str, datetime]


def overview(now: datetime, days: int = 30) -> NetworkOverview:
    """The network at a glance; ``expiring``: the newest certificate ends within so many days. Two queries."""
    members = models.Facility.objects.values_list("enabled")
    nodes = models.Node.objects.filter(enabled=True, facility__enabled=True).annotate(
        until=Max("certificates__valid_until", filter=Q(certificates__revoked_at=None))
    )
    ends = list(nodes.values_list("facility__code", "until"))
    until: dict[str, datetime] = {}
    for code, end in ends:
        if end is not None:
            until[code] = min(end, until.get(code, end))
    enabled = [switched_on for (switched_on,) in members]
    return NetworkOverview(
        facilities=sum(enabled),
        facilities_off=len(enabled) - sum(enabled),
        nodes=len(ends),
        without_certificate=sum(end is None for _, end in ends),
        expiring=sum(end is not None and end < now + timedelta(days=days) for _, end in ends),
        until=until,
    )
