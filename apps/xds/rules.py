"""What gate and permit are asked about objects of the registry, made of the columns of their rows.

What the network itself makes from its members' records bears no facility of its own. It says in ``sources`` what it was
made from, and may be shown to whom those records may be shown:

- an on-demand summary names the facilities that hold records of the person, one a line. It is shown where one of them
  may be known to know the person; what is in it is decided when it is made, for its reader.
- a snapshot of one names every record that it was made from. It is shown to whom each of them may be shown.

A denial of the summary's own codes closes both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache

from django.conf import settings

from hie.values.access import Decision, Disclosure, Permit, Subject
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


def shows(
    permit: Permit,
    patient_id: str,
    entry_uuid: str,
    facility_code: str,
    class_code: str,
    type_code: str,
    event_codes: str,
    confidentiality_codes: str,
    care_date: str,
    sources: str,
) -> bool:
    """Whether a permit shows a document: the columns that ``disclosure_of`` takes, and ``sources``."""
    codes = (class_code, type_code, event_codes, confidentiality_codes)
    if not sources:
        return permit.allows(patient_id, disclosure_of(entry_uuid, facility_code, *codes, care_date))
    decision = permit.of(patient_id)
    if _denies(decision, disclosure_of(entry_uuid, facility_code, *codes, "")):  # the records have the dates
        return False
    if is_snapshot(sources):
        return all(map(decision.allows, _disclosures_of(sources)))
    return any(map(decision.reveals, sources.split("\n")))


# What was made of what ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Origin:
    """One record that a snapshot was made from, as the columns of its row say it; entry_uuid "" where it has none."""

    entry_uuid: str
    facility_code: str
    class_code: str
    type_code: str
    event_codes: str
    confidentiality_codes: str
    care_date: str

    @property
    def disclosure(self) -> Disclosure:
        return disclosure_of(*astuple(self))


def is_snapshot(sources: str) -> bool:
    """Whether these are the sources of a snapshot, not those of an on-demand summary."""
    return sources.startswith("{")


def write_sources(origins: Iterable[Origin], readers: Iterable[str]) -> str:
    """The sources of a snapshot as their column holds them. readers: codes of the facilities whose latest it is."""
    groups: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for each in origins:
        shared = (
            each.facility_code,
            each.class_code,
            each.type_code,
            each.event_codes,
            each.confidentiality_codes,
        )
        groups.setdefault(shared, []).append((each.care_date, each.entry_uuid))
    said = {"readers": sorted(readers), "of": [[*shared, sorted(each)] for shared, each in sorted(groups.items())]}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def origins_of(sources: str) -> tuple[Origin, ...]:
    """The records that a snapshot was made from."""
    return tuple(
        Origin(entry_uuid, facility_code, class_code, type_code, event_codes, confidentiality_codes, care_date)
        for facility_code, class_code, type_code, event_codes, confidentiality_codes, members in json.loads(sources)[
            "of"
        ]
        for care_date, entry_uuid in members
    )


def readers_of(sources: str) -> Sequence[str]:
    """The facilities whose latest snapshot it is."""
    readers: list[str] = json.loads(sources)["readers"]
    return readers


@lru_cache(maxsize=1024)
def _disclosures_of(sources: str) -> tuple[Disclosure, ...]:
    return tuple(each.disclosure for each in origins_of(sources))


def _denies(decision: Decision, disclosure: Disclosure) -> bool:
    """Whether a denial in force matches, whatever else is permitted."""
    return any(
        not rule.permits and (rule.in_emergency or not decision.emergency) and rule.matches(disclosure)
        for rule in decision.rules
    )


# Columns and subjects -----------------------------------------------------------------------------------------------


def lines(keys: Iterable[str]) -> str:
    """Several codes as one column holds them."""
    return "\n".join(keys)


def subjects_of_patients(regional_ids: Iterable[str]) -> tuple[Subject, ...]:
    """The patients of rows, as gate and recorder name them: by their regional id."""
    domain = AssigningAuthority(oid=settings.AFFINITY_DOMAIN_OID)
    return tuple(Subject(Identifier(each, domain), each) for each in regional_ids)
