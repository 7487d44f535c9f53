"""The verbs of the registry and repository. Each owns its database transaction."""

from apps.xds.services.assembling import retrieve, sweep_assembled
from apps.xds.services.code_sets import dump_codes, load_codes
from apps.xds.services.indexing import IndexedDocument, IndexResult, index_documents, relocate_content
from apps.xds.services.moving import move_patient, move_records
from apps.xds.services.offering import offer, offer_to_all, patients_of_entries, withdraw_offers
from apps.xds.services.registration import (
    prepare,
    prepare_provided,
    refuse_limited,
    register,
    register_prepared,
    register_within,
    submit,
)
from apps.xds.services.removing import (
    patients_of_documents,
    patients_of_objects,
    remove_documents,
    remove_objects,
)
from apps.xds.services.snapshots import Assembled
from apps.xds.services.subscribing import forget_ended, patients_of_subscription, publish, subscribe, unsubscribe
from apps.xds.services.telling import deliver_due
from apps.xds.services.updating import update

__all__ = [
    "Assembled",
    "IndexResult",
    "IndexedDocument",
    "deliver_due",
    "dump_codes",
    "forget_ended",
    "index_documents",
    "load_codes",
    "move_patient",
    "move_records",
    "offer",
    "offer_to_all",
    "patients_of_documents",
    "patients_of_entries",
    "patients_of_objects",
    "patients_of_subscription",
    "prepare",
    "prepare_provided",
    "publish",
    "refuse_limited",
    "register",
    "register_prepared",
    "register_within",
    "relocate_content",
    "remove_documents",
    "remove_objects",
    "retrieve",
    "submit",
    "subscribe",
    "sweep_assembled",
    "unsubscribe",
    "update",
    "withdraw_offers",
]
