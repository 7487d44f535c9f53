"""The SAML 2.0 assertion of ITI-40, Cross-Enterprise User Assertion (ITI TF-2: 3.40; SAML core; OASIS XSPA 1.0).

Who signed decides what is believed, so reading goes one way only: parse, check the one enveloped signature against a
certificate that the caller of ``read_assertion`` trusts, and from then on read nothing but the element that the
verification hands back. What stands beside or around the signed element is never looked at. Refusals are faults
of WS-Security (section 12).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, XMLVerifier

from hie.values.codes import Code
from hie.values.errors import ExchangeError, Reason
from hie.wire.soap.faults import SoapFault
from hie.wire.xml import escape, parse

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
DS = "http://www.w3.org/2000/09/xmldsig#"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
CLOCK_SKEW = timedelta(minutes=5)
MAX_BYTES = 64 * 1024

# Names of attributes (ITI TF-2 table 3.40.4.1.2-1 and the sections on its options); the last one is ours.
SUBJECT_ID = "urn:oasis:names:tc:xspa:1.0:subject:subject-id"
ORGANIZATION = "urn:oasis:names:tc:xspa:1.0:subject:organization"
ORGANIZATION_ID = "urn:oasis:names:tc:xspa:1.0:subject:organization-id"
HOME_COMMUNITY_ID = "urn:ihe:iti:xca:2010:homeCommunityId"
ROLE = "urn:oasis:names:tc:xacml:2.0:subject:role"
PURPOSE_OF_USE = "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse"
RESOURCE_ID = "urn:oasis:names:tc:xacml:2.0:resource:resource-id"
EMERGENCY_REASON = "urn:hie:emergency-reason"

_CONFIGURATION = SignatureConfiguration(
    location="./",
    expect_references=1,
    signature_methods=frozenset({SignatureMethod.RSA_SHA256, SignatureMethod.ECDSA_SHA256}),
    digest_algorithms=frozenset({DigestAlgorithm.SHA256}),
)
_KNOWN_CONDITIONS = frozenset(f"{{{SAML}}}{name}" for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction"))
_ID_ATTRIBUTES = ("ID", "Id", "id")
_PASSWORD_TRANSPORT = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"  # noqa: S105 - a class of logins


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a verified assertion says. Text is as written; times are aware.

    name_id, issuer, sp_provided_id: the subject as the audit names it, ``SPProvidedID<NameID@Issuer>``.
    subject_name: the person's name for people (subject-id). organization_id, home_community_id: URIs.
    roles, purpose_of_use: HL7 v3 CE (code, codeSystem, displayName). resource_id: the patient as CX.
    emergency_reason: the words given for an emergency access. audiences: one tuple for each AudienceRestriction.
    """

    issuer: str
    name_id: str
    sp_provided_id: str = ""
    subject_name: str = ""
    organization: str = ""
    organization_id: str = ""
    home_community_id: str = ""
    roles: tuple[Code, ...] = ()
    purpose_of_use: Code | None = None
    resource_id: str = ""
    emergency_reason: str = ""
    assertion_id: str = ""
    issued_at: datetime | None = None
    not_before: datetime | None = None
    not_on_or_after: datetime | None = None
    audiences: tuple[tuple[str, ...], ...] = field(default=())

    @property
    def audit_name(self) -> str:
        """UserName of the audit record (ITI TF-2: 3.40.4.2)."""
        return f"{self.sp_provided_id}<{self.name_id}@{self.issuer}>"


def issuer_of(raw: bytes) -> str:
    """Whom the assertion names as its issuer. Nothing is verified: it only tells which certificate to verify with."""
    return (_parse(raw).findtext(f"{{{SAML}}}Issuer") or "").strip()


def read_assertion(raw: bytes, certificate: x509.Certificate, *, audience: frozenset[str], now: datetime) -> Assertion:
    """The assertion, verified.

    raw: the saml:Assertion element alone. certificate: the issuer's. audience: the URIs that mean us. now: aware.
    Raises SoapFault (Reason.SECURITY) naming the rule that does not hold.
    """
    assertion = _verified(raw, certificate)
    if assertion.not_before is not None and now < assertion.not_before - CLOCK_SKEW:
        raise _invalid("The assertion is not valid yet (Conditions/@NotBefore); compare the clocks.")
    if assertion.not_on_or_after is not None and now >= assertion.not_on_or_after + CLOCK_SKEW:
        raise _invalid("The assertion is no longer valid (NotOnOrAfter); ask for a new one.")
    if not all(audience.intersection(restriction) for restriction in assertion.audiences):
        raise _invalid(
            "The assertion is for another audience; Conditions/AudienceRestriction has to name this network."
        )
    return assertion


def write_assertion(
    assertion: Assertion, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> bytes:
    """The assertion signed by its issuer, RSA or ECDSA with SHA-256 after exclusive canonicalization.

    An empty assertion_id or issued_at is filled in; not_before is the issue instant (ITI TF-2: 3.40.4.1.2);
    without not_on_or_after it is valid for five minutes.
    """
    issued = assertion.issued_at or datetime.now(UTC)
    identifier = assertion.assertion_id or f"_{secrets.token_hex(16)}"
    until = assertion.not_on_or_after or issued + timedelta(minutes=5)
    unsigned = _element(assertion, identifier, assertion.not_before or issued, issued, until)
    method = SignatureMethod.RSA_SHA256 if isinstance(key, rsa.RSAPrivateKey) else SignatureMethod.ECDSA_SHA256
    signer = XMLSigner(
        signature_algorithm=method, c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0
    )
    signed = signer.sign(
        parse(unsigned.encode()), key=key, cert=[certificate], reference_uri=f"#{identifier}", id_attribute="ID"
    )
    return etree.tostring(signed)


@lru_cache(maxsize=256)
def _verified(raw: bytes, certificate: x509.Certificate) -> Assertion:
    """The assertion with its signature verified; nothing is said of the time. A person's assertion comes many times."""
    root = _parse(raw)
    identifier = root.get("ID", "")
    _check_unambiguous(root, identifier)
    try:
        result = XMLVerifier().verify(root, x509_cert=certificate, id_attribute="ID", expect_config=_CONFIGURATION)
    except Exception:
        # What a stranger wrote may make the library trip in any way; none of them is a verified signature.
        raise _failed() from None
    signed = None if isinstance(result, list) else result.signed_xml
    if signed is None or signed.tag != root.tag or signed.get("ID") != identifier:
        raise _failed()
    return _read(signed)


def _parse(raw: bytes) -> etree._Element:
    try:
        root = parse(raw, MAX_BYTES)
    except ExchangeError as error:
        raise _invalid(error.detail) from None
    if root.tag != f"{{{SAML}}}Assertion":
        raise _invalid("The security token has to be a SAML 2.0 Assertion.", "wsse:UnsupportedSecurityToken")
    return root


def _check_unambiguous(root: etree._Element, identifier: str) -> None:
    """One assertion, one signature of its own, no identifier twice: nothing that two readers could read differently."""
    identifiers = [element.get(name) for element in root.iter("*") for name in _ID_ATTRIBUTES if element.get(name)]
    if not identifier or len(identifiers) != len(set(identifiers)):
        raise _invalid("The assertion needs an ID, and no ID may stand in it twice.")
    if sum(1 for _ in root.iter(root.tag)) != 1:
        raise _invalid("An assertion must not contain another one.")
    if len(root.findall(f"{{{DS}}}Signature")) != 1 or sum(1 for _ in root.iter(f"{{{DS}}}Signature")) != 1:
        raise _invalid("The assertion has to carry exactly one signature, its own.", "wsse:FailedCheck")
    if root.get("Version") != "2.0":
        raise _invalid("The assertion has to be of SAML version 2.0.", "wsse:UnsupportedSecurityToken")


def _read(root: etree._Element) -> Assertion:
    name_id = root.find(f"{{{SAML}}}Subject/{{{SAML}}}NameID")
    issuer = (root.findtext(f"{{{SAML}}}Issuer") or "").strip()
    if name_id is None or not (name_id.text or "").strip() or not issuer:
        raise _invalid("The assertion has to name its Issuer and, by Subject/NameID, a user.")
    if root.find(f"{{{SAML}}}AuthnStatement") is None:
        raise _invalid("The assertion has to have an AuthnStatement.")
    conditions = root.find(f"{{{SAML}}}Conditions")
    if conditions is None or any(child.tag not in _KNOWN_CONDITIONS for child in conditions):
        raise _invalid("The assertion has to have Conditions, and none but those of SAML core 2.5.1.")
    ends = [_time(conditions.get("NotOnOrAfter")), _confirmed_until(root)]
    return Assertion(
        assertion_id=root.get("ID", ""),
        issuer=issuer,
        name_id=(name_id.text or "").strip(),
        sp_provided_id=name_id.get("SPProvidedID", ""),
        issued_at=_time(root.get("IssueInstant")),
        not_before=_time(conditions.get("NotBefore")),
        not_on_or_after=min((end for end in ends if end is not None), default=None),
        audiences=_audiences(conditions),
        subject_name=_text(root, SUBJECT_ID),
        organization=_text(root, ORGANIZATION),
        organization_id=_text(root, ORGANIZATION_ID),
        home_community_id=_text(root, HOME_COMMUNITY_ID),
        resource_id=_text(root, RESOURCE_ID),
        emergency_reason=_text(root, EMERGENCY_REASON),
        roles=tuple(_codes(root, ROLE)),
        purpose_of_use=_purpose(root),
    )


def _confirmed_until(root: etree._Element) -> datetime | None:
    """The end that the bearer's confirmation sets, or None where it sets none."""
    for confirmation in root.iterfind(f"{{{SAML}}}Subject/{{{SAML}}}SubjectConfirmation"):
        if confirmation.get("Method") == BEARER:
            data = confirmation.find(f"{{{SAML}}}SubjectConfirmationData")
            return _time(data.get("NotOnOrAfter")) if data is not None else None
    raise _invalid(f"The SubjectConfirmation has to be of method {BEARER}.", "wsse:UnsupportedSecurityToken")


def _audiences(conditions: etree._Element) -> tuple[tuple[str, ...], ...]:
    restrictions = conditions.findall(f"{{{SAML}}}AudienceRestriction")
    if not restrictions:
        raise _invalid("The assertion has to have an AudienceRestriction.")
    return tuple(
        tuple((audience.text or "").strip() for audience in restriction.iterfind(f"{{{SAML}}}Audience"))
        for restriction in restrictions
    )


def _values(root: etree._Element, name: str) -> Iterator[etree._Element]:
    """The values of an attribute: statements, attributes of one name and values may all be repeated."""
    for attribute in root.iterfind(f"{{{SAML}}}AttributeStatement/{{{SAML}}}Attribute"):
        if attribute.get("Name") == name:
            yield from attribute.iterfind(f"{{{SAML}}}AttributeValue")


def _text(root: etree._Element, name: str) -> str:
    return next(((value.text or "").strip() for value in _values(root, name)), "")


def _codes(root: etree._Element, name: str) -> Iterator[Code]:
    for value in _values(root, name):
        for coded in value:
            if coded.get("code"):
                yield Code(coded.get("code", ""), coded.get("codeSystem", ""), coded.get("displayName", ""))


def _purpose(root: etree._Element) -> Code | None:
    purpose = next(_codes(root, PURPOSE_OF_USE), None)
    if purpose is not None and not purpose.scheme:
        raise _invalid("PurposeOfUse has to have a codeSystem.")
    return purpose


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise _invalid("A time of the assertion is no xs:dateTime.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _element(assertion: Assertion, identifier: str, begin: datetime, issued: datetime, until: datetime) -> str:
    provided = f' SPProvidedID="{escape(assertion.sp_provided_id)}"' if assertion.sp_provided_id else ""
    return (
        f'<saml2:Assertion xmlns:saml2="{SAML}" ID="{escape(identifier)}" Version="2.0" '
        f'IssueInstant="{_instant(issued)}">'
        f"<saml2:Issuer>{escape(assertion.issuer)}</saml2:Issuer>"
        f'<ds:Signature xmlns:ds="{DS}" Id="placeholder"/>'
        f"<saml2:Subject><saml2:NameID{provided}>{escape(assertion.name_id)}</saml2:NameID>"
        f'<saml2:SubjectConfirmation Method="{BEARER}"/></saml2:Subject>'
        f'<saml2:Conditions NotBefore="{_instant(begin)}" NotOnOrAfter="{_instant(until)}">'
        f"{''.join(_restriction(each) for each in assertion.audiences)}</saml2:Conditions>"
        f'<saml2:AuthnStatement AuthnInstant="{_instant(issued)}"><saml2:AuthnContext><saml2:AuthnContextClassRef>'
        f"{_PASSWORD_TRANSPORT}</saml2:AuthnContextClassRef></saml2:AuthnContext></saml2:AuthnStatement>"
        f"<saml2:AttributeStatement>{_attributes(assertion)}</saml2:AttributeStatement></saml2:Assertion>"
    )


def _restriction(audiences: tuple[str, ...]) -> str:
    inside = "".join(f"<saml2:Audience>{escape(audience)}</saml2:Audience>" for audience in audiences)
    return f"<saml2:AudienceRestriction>{inside}</saml2:AudienceRestriction>"


def _attributes(assertion: Assertion) -> str:
    texts = (
        (SUBJECT_ID, assertion.subject_name),
        (ORGANIZATION, assertion.organization),
        (ORGANIZATION_ID, assertion.organization_id),
        (HOME_COMMUNITY_ID, assertion.home_community_id),
        (RESOURCE_ID, assertion.resource_id),
        (EMERGENCY_REASON, assertion.emergency_reason),
    )
    written = [_attribute(name, escape(text)) for name, text in texts if text]
    if assertion.roles:
        written.append(_attribute(ROLE, *(_coded("Role", role) for role in assertion.roles)))
    if assertion.purpose_of_use:
        written.append(_attribute(PURPOSE_OF_USE, _coded("PurposeOfUse", assertion.purpose_of_use)))
    return "".join(written)


def _attribute(name: str, *values: str) -> str:
    inside = "".join(f"<saml2:AttributeValue>{value}</saml2:AttributeValue>" for value in values)
    return f'<saml2:Attribute Name="{name}">{inside}</saml2:Attribute>'


def _coded(name: str, code: Code) -> str:
    return (
        f'<{name} xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CE" '
        f'code="{escape(code.code)}" codeSystem="{escape(code.scheme)}" displayName="{escape(code.display)}"/>'
    )


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _invalid(detail: str, subcode: str = "wsse:InvalidSecurityToken") -> SoapFault:
    return SoapFault("Sender", detail, subcode, reason=Reason.SECURITY)


def _failed() -> SoapFault:
    detail = (
        "The signature of the assertion does not verify: RSA or ECDSA with SHA-256, enveloped, by its issuer's key."
    )
    return _invalid(detail, "wsse:FailedCheck")
