"""A coded value: HL7 v2 CE/CWE, HL7 v3 CE, ebRIM Classification, FHIR Coding."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A code, the scheme it belongs to (OID, URN or name) and what a person reads."""

    code: str
    scheme: str = ""
    display: str = ""


@dataclass(frozen=True, slots=True)
class DomainCode:
    """A code that a domain allows. system: the URI of its scheme in FHIR; extension: of files of a MIME type."""

    code: Code
    system: str = ""
    extension: str = ""


@dataclass(frozen=True, slots=True)
class CodeType:
    """The codes that one attribute may have. name: ``typeCode``; class_scheme: the classification scheme, or ""."""

    name: str
    codes: tuple[DomainCode, ...]
    class_scheme: str = ""


@dataclass(frozen=True, slots=True)
class DomainCodes:
    """Everything that an affinity domain has agreed on: its codes, and who may issue patient ids.

    assigning_authorities: (``&OID&ISO``, name of the authority) in order.
    """

    code_types: tuple[CodeType, ...]
    assigning_authorities: tuple[tuple[str, str], ...] = ()
