"""Namespaces and URNs of ebXML Registry 3.0 and of document sharing (OASIS ebRIM and ebRS 3.0; ITI TF-3: 4.2)."""

from __future__ import annotations

RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
RS = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
LCM = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
QUERY = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
XDSB = "urn:ihe:iti:xds-b:2007"
RMD = "urn:ihe:iti:rmd:2017"
XOP = "http://www.w3.org/2004/08/xop/include"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"

_OBJECT_TYPE = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject"
CLASSIFICATION_TYPE = f"{_OBJECT_TYPE}:Classification"
EXTERNAL_IDENTIFIER_TYPE = f"{_OBJECT_TYPE}:ExternalIdentifier"
REGISTRY_PACKAGE_TYPE = f"{_OBJECT_TYPE}:RegistryPackage"
ASSOCIATION_TYPE = f"{_OBJECT_TYPE}:Association"

STATUS_PREFIX = "urn:oasis:names:tc:ebxml-regrep:StatusType:"

SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
PARTIAL_SUCCESS = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"
ERROR = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"
WARNING = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Warning"


def rim(name: str) -> str:
    """A name of ebRIM as lxml writes it."""
    return f"{{{RIM}}}{name}"
