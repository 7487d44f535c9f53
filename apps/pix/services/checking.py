"""What a feed has to be before it is carried out: of the facility's own domains, of a length that columns take, and
without a national number. None of it needs a look into the index.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from apps.ids.models import is_provisional
from apps.ids.rules import field_and_value, refuse_national_numbers
from apps.network import queries as network
from apps.pix.queries.cross_references import find_authority
from apps.pix.services.charts import check_lengths
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import PatientFeed

LONGEST_IDENTIFIER = 64


def check(feed: PatientFeed, facility_code: str, *, source: bool = False) -> PatientFeed:
    """The feed with its identifiers complete and every warning; what needs no look into the index is refused here.

    source: the sender is the identity source of the affinity domain, which tells of regional ids too.
    """
    facility = network.facility(facility_code)
    if facility is None:
        raise ExchangeError(Reason.CALLER_NOT_ENTITLED, "The sender's facility does not belong to this network.")
    domains = _Domains(facility, source)
    identifiers, warnings = domains.own(feed.identifiers, "identifier")
    prior, prior_warnings = domains.own(feed.prior_identifiers, "prior identifier")
    other, other_warnings = domains.own(feed.other_identifiers, "other identifier")
    check_lengths(feed.demographics)
    warnings += prior_warnings + other_warnings + refuse_national_numbers(_texts(feed))
    return replace(
        feed,
        identifiers=identifiers,
        prior_identifiers=prior,
        other_identifiers=other,
        warnings=tuple(warnings) + feed.warnings,
    )


# --- whose identifiers


@dataclass(frozen=True, slots=True)
class _Domains:
    """The domains of one facility: which identifiers of its message are its own to tell of.

    source: the sender feeds the regional ids of the affinity domain too; a missing authority is that domain.
    """

    facility: network.Facility
    source: bool = False

    def own(self, identifiers: tuple[Identifier, ...], location: str) -> tuple[tuple[Identifier, ...], list[str]]:
        """The facility's own identifiers, complete, and a warning for each that was left out.

        An identifier of another facility is refused. One of the affinity domain, or of a domain that this network
        does not know (an insurer's number), is left out where an own one stands beside it, else refused.
        """
        found: list[Identifier] = []
        left_out: list[ExchangeError] = []
        for number, identifier in enumerate(identifiers, 1):
            try:
                found.append(self._complete(identifier, location))
            except ExchangeError as error:
                refusal = _at_repetition(error, location, number)
                if not (self.source or _is_stranger(identifier)) or not identifier.value.strip():
                    raise refusal from None
                left_out.append(refusal)
        if left_out and not found:
            raise left_out[0]
        return tuple(dict.fromkeys(found)), [
            f"A repetition of the {location} was left out: {error.detail}" for error in left_out
        ]

    def _complete(self, identifier: Identifier, location: str) -> Identifier:
        if self.source and self._is_regional(identifier.assigning_authority):
            return _fed(identifier, location)
        value = self.facility.patient_ids.comparable(identifier.value)
        if not value:
            raise ExchangeError(Reason.REQUIRED_MISSING, f"The {location} has no value.", location)
        if len(value) > LONGEST_IDENTIFIER:
            raise ExchangeError(
                Reason.WRONG_DATA_TYPE, f"The {location} has at most {LONGEST_IDENTIFIER} characters.", location
            )
        if not identifier.assigning_authority:
            return Identifier(value, self.facility.authority, identifier.type_code)
        authority = find_authority(identifier.assigning_authority)
        owner = network.facility_of_authority(authority.oid) if authority else None
        if authority is None or owner is None or owner.code != self.facility.code:
            raise ExchangeError(
                Reason.UNKNOWN_DOMAIN,
                f"The assigning authority of the {location} is not one that this sender may tell of.",
                f"{location}.authority",
            )
        return Identifier(value, authority, identifier.type_code)

    @staticmethod
    def _is_regional(authority: AssigningAuthority) -> bool:
        """Whether this is the affinity domain, by OID or namespace, or nothing at all."""
        domain = network.affinity_domain()
        return not authority or (authority.oid or authority.namespace) in (domain.oid, domain.namespace)


def _at_repetition(error: ExchangeError, location: str, number: int) -> ExchangeError:
    """The same error at the repetition that it is about; the first needs no number."""
    if number == 1:
        return error
    place = f"{location}[{number}]"
    return ExchangeError.of([replace(each, location=each.location.replace(location, place)) for each in error.findings])


def _fed(identifier: Identifier, location: str) -> Identifier:
    """A regional id as its source gives it, complete (ITI TF-2: 3.8.4.1.4)."""
    value = identifier.value.strip()
    if not value:
        raise ExchangeError(Reason.REQUIRED_MISSING, f"The {location} has no value.", location)
    if len(value) > LONGEST_IDENTIFIER or is_provisional(value):
        detail = f"The {location} has at most {LONGEST_IDENTIFIER} characters and is no provisional one."
        raise ExchangeError(Reason.WRONG_DATA_TYPE, detail, location)
    return replace(identifier, value=value, assigning_authority=network.affinity_domain())


def _is_stranger(identifier: Identifier) -> bool:
    """Whether the identifier is of no facility of this network: of the affinity domain or of a foreign domain."""
    if not identifier.assigning_authority or not identifier.value.strip():
        return False
    authority = find_authority(identifier.assigning_authority)
    return authority is None or network.facility_of_authority(authority.oid) is None


def _texts(feed: PatientFeed) -> Iterable[tuple[str, str]]:
    """(field, text) of everything that a number could hide in; only text long enough to hold one."""
    for identifier in feed.identifiers + feed.prior_identifiers + feed.other_identifiers:
        yield field_and_value(identifier)
    told = feed.demographics
    for name in (told.name.ideographic, told.name.phonetic, told.name.alphabetic):
        yield "name", name.text
    for address in told.addresses:
        yield "address", " ".join((address.prefecture, address.city, address.street, address.text))
    for telephone in told.telephones:
        yield "telephone", telephone
    for insurance in told.insurances:
        for number in (insurance.insurer_number, insurance.symbol, insurance.number):
            yield "insurance", number
