"""The canonical ebRIM form of one registry object, as bytes that any answer can be joined from (ITI TF-3: 4.2.3)."""

from __future__ import annotations

from hie.values.documents import RegistryObject


def write_fragment(registry_object: RegistryObject) -> bytes:
    """The object as one ebRIM element in UTF-8 with the prefix ``rim`` and no namespace declaration."""
    raise NotImplementedError


def with_status(fragment: bytes, status: str) -> bytes:
    """The fragment with another availabilityStatus (the full URN)."""
    raise NotImplementedError


def with_patient_id(fragment: bytes, patient_id: str) -> bytes:
    """The fragment with another patientId (XDS CX, ``Identifier.xds_cx``); an Association has none and stays as it is."""
    raise NotImplementedError


def read_fragment(fragment: bytes) -> RegistryObject:
    """The object that a fragment describes: the inverse of ``write_fragment``."""
    raise NotImplementedError
