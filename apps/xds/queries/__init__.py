"""What the registry asks of its own small tables. Answers are remembered for five seconds."""

from __future__ import annotations

from apps.terminology.queries import codes
from apps.xds.models import AcceptedCode, DocumentCheck
from hie.exchange.remembered import remembered

SECONDS = 5.0

# CodeType of codes.xml -> the kind under which apps.terminology maps the network's own documents to it.
_KINDS = {
    "classCode": "class",
    "typeCode": "type",
    "formatCode": "format",
    "eventCodeList": "event",
    "contentTypeCode": "content-type",
    "healthcareFacilityTypeCode": "facility-type",
    "practiceSettingCode": "practice-setting",
    "confidentialityCode": "confidentiality",
}


@remembered(SECONDS)
def accepted_codes() -> dict[str, frozenset[tuple[str, str]]]:
    """Attribute -> (code, scheme) accepted for it: those listed, and those that the network gives its own documents.

    An attribute for which none is listed is left out: it takes any code.
    """
    found: dict[str, set[tuple[str, str]]] = {}
    for attribute, code, scheme in AcceptedCode.objects.filter(enabled=True).values_list("attribute", "code", "scheme"):
        found.setdefault(attribute, set()).add((code, scheme))
    for attribute, listed in found.items():
        if attribute in _KINDS:
            listed.update((each.code, each.scheme) for each in codes(_KINDS[attribute]))
    return {attribute: frozenset(listed) for attribute, listed in found.items()}


def last_check() -> DocumentCheck | None:
    """The check of all documents that ended last, by whomever it was begun."""
    return DocumentCheck.objects.filter(ended_at__isnull=False).order_by("-ended_at").first()
