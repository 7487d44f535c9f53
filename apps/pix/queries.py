"""Who is who: from an identifier to the person and back. Every question is one or two indexed statements."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.db import connection

from hie.values.access import Subject
from hie.values.identifiers import AssigningAuthority, Identifier


def regional_id_of(identifier: Identifier) -> str | None:
    """The regional id of the person whom an active chart number or regional id names; None where it is not known.

    An identifier that was merged away or a regional id that was subsumed is not known any more (ITI TF-2: 3.8.4.2).
    The regional id itself is an identifier of the affinity domain (``settings.AFFINITY_DOMAIN_OID``).
    """
    if identifier.oid == settings.AFFINITY_DOMAIN_OID:
        sql = "SELECT regional_id FROM pix_person WHERE regional_id = %s AND status = 'active'"
        parameters = [identifier.value]
    else:
        sql = (
            "SELECT p.regional_id FROM pix_localidentifier l JOIN pix_person p ON p.id = l.person_id"
            " WHERE l.authority_oid = %s AND l.value = %s AND l.status = 'active'"
        )
        parameters = [identifier.oid, identifier.value]
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        row = cursor.fetchone()
    return row[0] if row else None


def subject_of(identifier: Identifier) -> Subject:
    """The patient whom an identifier names, for gate and recorder: with the regional id where it is known."""
    return Subject(identifier, regional_id_of(identifier) or "")


def subjects_of(identifiers: Iterable[Identifier]) -> tuple[Subject, ...]:
    """One subject of each identifier, in their order."""
    return tuple(subject_of(identifier) for identifier in identifiers)


def identifiers_of(regional_id: str) -> tuple[Identifier, ...]:
    """All active chart numbers of a person in the order they became known; nothing for an unknown regional id.

    The namespaces of the authorities are left empty; the regional id itself is not among them.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT l.value, l.authority_oid, l.type_code FROM pix_localidentifier l"
            " JOIN pix_person p ON p.id = l.person_id"
            " WHERE p.regional_id = %s AND l.status = 'active' ORDER BY l.id",
            [regional_id],
        )
        return tuple(
            Identifier(value, AssigningAuthority(oid=oid), type_code) for value, oid, type_code in cursor.fetchall()
        )
