"""The verbs of the network: members, certificates, connection sheets."""

from apps.network.services.certificates import (
    IssuedCertificate,
    NoBuiltInAuthorityError,
    bind_certificate,
    issue_certificate,
    issue_server_certificate,
    keep_certificate,
    withdraw_certificate,
)
from apps.network.services.joining import Joined, add_hospital, connection_package, keep_connection
from apps.network.services.members import (
    add_facility,
    add_node,
    set_facility_enabled,
    set_node_enabled,
    set_own_rows,
)
from apps.network.services.sheet import connection_facts, connection_sheet, sheet_facts

__all__ = [
    "IssuedCertificate",
    "Joined",
    "NoBuiltInAuthorityError",
    "add_facility",
    "add_hospital",
    "add_node",
    "bind_certificate",
    "connection_facts",
    "connection_package",
    "connection_sheet",
    "issue_certificate",
    "issue_server_certificate",
    "keep_certificate",
    "keep_connection",
    "set_facility_enabled",
    "set_node_enabled",
    "set_own_rows",
    "sheet_facts",
    "withdraw_certificate",
]
