"""A coded value: HL7 v2 CE/CWE, HL7 v3 CE, ebRIM Classification, FHIR Coding."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A code, the scheme it belongs to (OID, URN or name) and what a person reads."""

    code: str
    scheme: str = ""
    display: str = ""
