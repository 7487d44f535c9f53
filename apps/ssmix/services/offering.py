"""The patient summaries that the network offers: an on-demand entry for each person with records in some storage.

It comes when the first document of a person is registered, follows the person when regional ids are joined or charts
move, and is deprecated when nothing is left (ITI TF-2: 3.61). Nothing is done where the network offers none
(settings.SUMMARY).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.conf import settings

from apps.ssmix.services.summary import FORMAT, TITLE
from apps.terminology import queries as terminology
from apps.xds.services import offer, offer_to_all, patients_of_entries, withdraw_offers
from hie.values.documents import Author, DocumentEntry
from hie.wire.cda.summary import MIME_TYPE

SUMMARY = "60591-5"  # LOINC, Patient summary Document


def offer_summaries(facility_code: str, registered: Iterable[str], deprecated: Collection[str]) -> None:
    """Bring the offers up to date with what a scan has told the registry, in its database transaction.

    registered: regional ids of those whose documents are new. deprecated: entry UUIDs of documents that ended.
    """
    if not settings.SUMMARY:
        return
    holders = dict.fromkeys(registered, (facility_code,))
    ended = patients_of_entries(deprecated) if deprecated else ()
    if holders or ended:
        offer(holders, describe, renewed=ended)


def renew_all() -> int:
    """Offer to everybody with records where the network wants that, else take every offer back; how many changed."""
    return offer_to_all(describe) if settings.SUMMARY else withdraw_offers()


def describe() -> DocumentEntry:
    """What all entries have in common."""
    name = settings.NETWORK_NAME.translate(str.maketrans("^&~|", "    "))
    confidentiality = terminology.code("confidentiality", "N")
    return DocumentEntry(
        entry_uuid="",
        mime_type=MIME_TYPE,
        language_code="ja-JP",
        title=TITLE,
        authors=(Author(institutions=(f"{name}^^^^^^^^^{settings.HOME_COMMUNITY_OID}",)),),
        class_code=terminology.code("class", SUMMARY),
        type_code=terminology.code("type", SUMMARY),
        format_code=terminology.code("format", FORMAT),
        healthcare_facility_type_code=terminology.code("facility-type", "other"),
        practice_setting_code=terminology.code("practice-setting", "9Z"),
        confidentiality_codes=(confidentiality,) if confidentiality else (),
    )


def on_persons_joined(surviving: str, **_: Any) -> None:
    """Receiver of ``apps.pix.models.persons_joined``, after the documents have followed."""
    _renew((surviving,))


def on_records_moved(previous: str, current: str, **_: Any) -> None:
    """Receiver of ``apps.pix.models.records_moved``, after the documents have followed."""
    _renew((previous, current))


def _renew(regional_ids: Collection[str]) -> None:
    if settings.SUMMARY:
        offer({}, describe, renewed=regional_ids)
