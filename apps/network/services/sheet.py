"""The connection sheet: everything that the people of a facility type into their own systems."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext, override

from apps.network import queries
from apps.network.models import ENTITLEMENTS, Node
from hie import environment

LANGUAGES = ("ja", "en")


def connection_sheet(*, node_name: str, language: str = "ja") -> str:
    """The connection sheet of a node in Markdown, in Japanese or English. It holds no secret.

    Raises Node.DoesNotExist.
    """
    language = language if language in LANGUAGES else "en"
    with override(language):
        return render_to_string(f"network/connection_sheet.{language}.md", sheet_facts(node_name=node_name))


def sheet_facts(*, node_name: str) -> dict[str, Any]:
    """What stands on the sheet, in the language that is spoken just now. Raises Node.DoesNotExist."""
    node = Node.objects.select_related("facility").get(name=node_name)
    host = next((name for name in settings.HOST_NAMES), "localhost")
    https_port, mllps_port = environment.text("HIE_HTTPS_PORT"), environment.text("HIE_MLLPS_PORT")
    granted = [
        str(Node._meta.get_field(column).verbose_name)  # type: ignore[union-attr]
        for access, column in ENTITLEMENTS.items()
        if access in node.accesses
    ]
    return {
        "node": node,
        "facility": node.facility,
        "authority": queries.authority(node.facility.patient_id_oid),
        "affinity_domain": queries.affinity_domain(),
        "home_community_id": queries.home_community_id(),
        "network_repository_oid": settings.REPOSITORY_OID,
        "network_name": settings.NETWORK_NAME,
        "accesses": ", ".join(granted) or gettext("nothing yet"),
        "doors": _doors(host, https_port, mllps_port),
        "certificates": node.certificates.filter(revoked_at=None, valid_until__gt=timezone.now()),
        "host": host,
        "https_port": https_port,
        "mllps_port": mllps_port,
        "today": timezone.localdate().isoformat(),
    }


def _doors(host: str, https_port: str, mllps_port: str) -> list[tuple[str, str]]:
    base = f"https://{host}:{https_port}"
    doors = [
        ("HL7 v2, MLLP, TLS", f"{host}:{mllps_port}"),
        ("SOAP, TLS", f"{base}/soap/"),
    ]
    if settings.MLLP_PLAIN:
        doors.append(("HL7 v2, MLLP", f"127.0.0.1:{environment.text('HIE_MLLP_PORT')}"))
    return doors


def connection_facts(*, node_name: str) -> dict[str, str | int]:
    """The same for a machine: what ``hie.transport.outside.ConnectionFacts`` reads. Raises Node.DoesNotExist."""
    node = Node.objects.select_related("facility").get(name=node_name)
    authority = queries.authority(node.facility.patient_id_oid)
    return {
        "node": node.name,
        "facility_code": node.facility.code,
        "patient_id_oid": node.facility.patient_id_oid,
        "patient_id_namespace": authority.namespace if authority else "",
        "affinity_domain_oid": settings.AFFINITY_DOMAIN_OID,
        "sending_facility": node.sending_facility or node.facility.code,
        "sending_application": node.sending_application or node.name,
        "host": next((name for name in settings.HOST_NAMES), "localhost"),
        "https_port": environment.number("HIE_HTTPS_PORT"),
        "mllps_port": environment.number("HIE_MLLPS_PORT"),
        "source_id": f"{settings.OID_ROOT}.5.1{node.facility.code}",
    }
