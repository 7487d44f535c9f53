"""``manage.py network``: who belongs to the network, on one screen."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.network import queries
from apps.network.models import Facility, Node


class Command(BaseCommand):
    help = "List the facilities with their nodes, certificates and authorities."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="Machine readable.")

    def handle(self, *args: Any, **options: Any) -> None:
        members = [_facts(each) for each in Facility.objects.prefetch_related("nodes__certificates")]
        if options["json"]:
            self.stdout.write(json.dumps(members, ensure_ascii=False, indent=2))
            return
        self.stdout.write(f"{settings.NETWORK_NAME}  affinity domain {queries.affinity_domain().oid}")
        if not members:
            self.stdout.write("No facility yet: manage.py add_hospital <code> <name>")
        for member in members:
            self.stdout.write(f"{member['code']}  {member['name']}  {member['kind']}{_off(member)}")
            for node in member["nodes"]:
                self.stdout.write(
                    f"    {node['name']}  {node['sender']}  until {node['valid_until'] or 'no certificate'}{_off(node)}"
                )


def _off(facts: dict[str, Any]) -> str:
    return "" if facts["enabled"] else "  (switched off)"


def _facts(facility: Facility) -> dict[str, Any]:
    return {
        "code": facility.code,
        "name": facility.name,
        "kind": facility.kind,
        "enabled": facility.enabled,
        "patient_id_oid": facility.patient_id_oid,
        "repository_oid": facility.repository_oid,
        "hosted_repository": facility.hosted_repository,
        "nodes": [_node_facts(node) for node in facility.nodes.all()],
    }


def _node_facts(node: Node) -> dict[str, Any]:
    valid = [
        each.valid_until
        for each in node.certificates.all()
        if each.revoked_at is None and each.valid_until > timezone.now()
    ]
    return {
        "name": node.name,
        "enabled": node.enabled,
        "sender": f"{node.sending_facility}|{node.sending_application}" if node.sending_application else "",
        "accesses": sorted(access.name for access in node.accesses),
        "valid_until": max(valid).date().isoformat() if valid else "",
    }
