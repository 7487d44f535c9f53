"""What gate and permit are asked about objects of the registry, made of the columns of their rows."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from django.conf import settings

from hie.values.access import Disclosure, Subject
from hie.values.identifiers import AssigningAuthority, Identifier


@lru_cache(maxsize=16384)
def _both_forms(keys: str) -> frozenset[str]:
    """Codes, one ``code^^scheme`` a line, each also as its bare code: a directive may name either."""
    forms: set[str] = set()
    for key in filter(None, keys.split("\n")):
        forms.update((key, key.partition("^^")[0]))
    return frozenset(forms)


def disclosure_of(
    entry_uuid: str,
    facility_code: str,
    class_code: str,
    type_code: str,
    event_codes: str,
    confidentiality_codes: str,
    care_date: str,
) -> Disclosure:
    """The disclosure of one document: codes as the registry's columns hold them, ``code^^scheme``, one a line."""
    return Disclosure(
        facility_code=facility_code,
        kinds=_both_forms(f"{class_code}\n{type_code}\n{event_codes}"),
        confidentiality=_both_forms(confidentiality_codes),
        date=care_date,
        entry_uuid=entry_uuid,
    )


def lines(keys: Iterable[str]) -> str:
    """Several codes as one column holds them."""
    return "\n".join(keys)


def subjects_of_patients(regional_ids: Iterable[str]) -> tuple[Subject, ...]:
    """The patients of rows, as gate and recorder name them: by their regional id."""
    domain = AssigningAuthority(oid=settings.AFFINITY_DOMAIN_OID)
    return tuple(Subject(Identifier(each, domain), each) for each in regional_ids)
