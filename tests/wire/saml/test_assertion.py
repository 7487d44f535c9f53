"""XUA assertions: written, read back, read by a second library, and attacked."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml.algorithms import SignatureMethod
from signxml.signer import XMLSigner

from hie.values.codes import Code
from hie.values.errors import Reason
from hie.wire.saml.assertion import DS, SAML, Assertion, issuer_of, read_assertion, write_assertion
from hie.wire.soap.envelope import SoapBody, read_envelope, write_request
from hie.wire.soap.faults import SoapFault

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
AUDIENCE = frozenset({"urn:oid:1.2.3"})
WRITTEN = Assertion(
    issuer="urn:hospital:idp",
    name_id="dr.yamamoto",
    sp_provided_id="yama",
    subject_name="山本 <花子> & Co",
    organization="中央病院",
    organization_id="urn:oid:1.2.3.4",
    home_community_id="urn:oid:1.2.3.7",
    roles=(Code("112247003", "2.16.840.1.113883.6.96", "Medical doctor"), Code("x", "1.2", "")),
    purpose_of_use=Code("ETREAT", "2.16.840.1.113883.5.8", "Emergency Treatment"),
    resource_id="000111^^^&1.2.3.4&ISO",
    emergency_reason='意識不明 "搬送"',
    assertion_id="_a1",
    issued_at=NOW,
    not_before=NOW,
    not_on_or_after=NOW + timedelta(minutes=10),
    audiences=(("urn:oid:9.9", "urn:oid:1.2.3"),),
)


def certified(key) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW - timedelta(days=1))
    return builder.not_valid_after(NOW + timedelta(days=3650)).sign(key, hashes.SHA256())


RSA_KEY = rsa.generate_private_key(65537, 2048)
CERTIFICATE = certified(RSA_KEY)
OTHER = certified(rsa.generate_private_key(65537, 2048))
SIGNED = write_assertion(WRITTEN, RSA_KEY, CERTIFICATE)


def read(raw: bytes, certificate=CERTIFICATE, audience=AUDIENCE, now=NOW) -> Assertion:
    return read_assertion(raw, certificate, audience=audience, now=now)


def refused(raw: bytes, **options) -> SoapFault:
    with pytest.raises(SoapFault) as caught:
        read(raw, **options)
    assert caught.value.reason is Reason.SECURITY
    return caught.value


def test_what_was_written_is_read():
    assert read(SIGNED) == WRITTEN
    assert issuer_of(SIGNED) == "urn:hospital:idp"
    assert read(SIGNED).audit_name == "yama<dr.yamamoto@urn:hospital:idp>"


def test_elliptic_curve_key():
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = certified(key)
    assert read(write_assertion(WRITTEN, key, certificate), certificate) == WRITTEN


def test_through_a_soap_header():
    raw, _ = write_request("urn:a", "http://x/", SoapBody((b"<b/>",)), SIGNED)
    assert read(read_envelope(raw).assertion) == WRITTEN


def test_second_library_believes_the_same_signature():
    root = etree.fromstring(SIGNED)
    context = xmlsec.SignatureContext()
    pem = CERTIFICATE.public_bytes(serialization.Encoding.PEM)
    context.key = xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatCertPem)
    context.register_id(root, "ID")
    context.verify(xmlsec.tree.find_node(root, xmlsec.constants.NodeSignature))


def test_the_signature_of_a_second_library_is_believed():
    root = etree.fromstring(SIGNED)
    signature = root.find(f"{{{DS}}}Signature")
    template = xmlsec.template.create(root, xmlsec.constants.TransformExclC14N, xmlsec.constants.TransformRsaSha256)
    reference = xmlsec.template.add_reference(template, xmlsec.constants.TransformSha256, uri="#_a1")
    xmlsec.template.add_transform(reference, xmlsec.constants.TransformEnveloped)
    xmlsec.template.add_transform(reference, xmlsec.constants.TransformExclC14N)
    root.replace(signature, template)
    context = xmlsec.SignatureContext()
    pem = RSA_KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context.key = xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatPem)
    context.register_id(root, "ID")
    context.sign(template)
    assert read(etree.tostring(root)) == WRITTEN


def test_repeated_attributes_statements_and_values():
    one = write_assertion(replace(WRITTEN, roles=()), RSA_KEY, CERTIFICATE)
    root = etree.fromstring(one)
    root.remove(root.find(f"{{{DS}}}Signature"))
    for code in ("a", "b"):
        statement = etree.SubElement(root, f"{{{SAML}}}AttributeStatement")
        attribute = etree.SubElement(
            statement, f"{{{SAML}}}Attribute", Name="urn:oasis:names:tc:xacml:2.0:subject:role"
        )
        value = etree.SubElement(attribute, f"{{{SAML}}}AttributeValue")
        etree.SubElement(value, "{urn:hl7-org:v3}Role", code=code, codeSystem="1.2")
    assert [role.code for role in read(signed_again(root)).roles] == ["a", "b"]


def signed_again(root: etree._Element, method=SignatureMethod.RSA_SHA256) -> bytes:
    signer = XMLSigner(signature_algorithm=method, c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#")
    signed = signer.sign(root, key=RSA_KEY, cert=[CERTIFICATE], reference_uri="#_a1", id_attribute="ID")
    return etree.tostring(signed)


TIMES = [
    (NOW - timedelta(minutes=4), True),
    (NOW - timedelta(minutes=6), False),
    (NOW + timedelta(minutes=14), True),
    (NOW + timedelta(minutes=15), False),
]


@pytest.mark.parametrize(("now", "valid"), TIMES)
def test_time_with_five_minutes_of_skew(now, valid):
    if valid:
        assert read(SIGNED, now=now) == WRITTEN
    else:
        assert refused(SIGNED, now=now).subcodes == ("wsse:InvalidSecurityToken",)


def test_audiences_are_alternatives_inside_and_conditions_beside_each_other():
    both = write_assertion(replace(WRITTEN, audiences=(("urn:oid:1.2.3",), ("urn:oid:9",))), RSA_KEY, CERTIFICATE)
    assert read(both, audience=frozenset({"urn:oid:1.2.3", "urn:oid:9"}))
    assert refused(both).subcodes == ("wsse:InvalidSecurityToken",)
    assert refused(SIGNED, audience=frozenset({"urn:oid:7"}))


def test_wrong_key():
    assert refused(SIGNED, certificate=OTHER).subcodes == ("wsse:FailedCheck",)


def test_key_of_the_sender_s_own_choice_is_not_believed():
    """An assertion signed, correctly, by a certificate that only its own KeyInfo vouches for."""
    key = rsa.generate_private_key(65537, 2048)
    assert refused(write_assertion(WRITTEN, key, certified(key))).subcodes == ("wsse:FailedCheck",)


def _set_text(path, text):
    def change(root):
        root.find(path).text = text

    return change


def _unsign(root):
    root.remove(root.find(f"{{{DS}}}Signature"))


def _without_value(root):
    root.find(f".//{{{DS}}}SignatureValue").text = ""


def _sha1(root):
    _unsign(root)
    from signxml import signer

    class Weak(signer.XMLSigner):
        def check_deprecated_methods(self):
            pass

    method = SignatureMethod.RSA_SHA1
    weak = Weak(signature_algorithm=method, c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#")
    return weak.sign(root, key=RSA_KEY, cert=[CERTIFICATE], reference_uri="#_a1", id_attribute="ID")


def _evil(root, identifier="_evil"):
    evil = copy.deepcopy(root)
    evil.set("ID", identifier)
    evil.find(f"{{{SAML}}}Subject/{{{SAML}}}NameID").text = "director"
    return evil


def _wrap_in_object(root):
    """The evil assertion outside, with the genuine signature whose Object holds the genuine assertion."""
    evil = _evil(root)
    signature = evil.find(f"{{{DS}}}Signature")
    genuine = copy.deepcopy(root)
    genuine.remove(genuine.find(f"{{{DS}}}Signature"))
    etree.SubElement(signature, f"{{{DS}}}Object").append(genuine)
    return evil


def _wrap_as_child(root):
    """The genuine, signed assertion inside an evil one that is not signed."""
    evil = _evil(root)
    evil.remove(evil.find(f"{{{DS}}}Signature"))
    evil.append(copy.deepcopy(root))
    return evil


def _wrap_with_signature_moved(root):
    """The signature moved up to the evil assertion, beside the genuine one without it."""
    evil = _evil(root)
    genuine = copy.deepcopy(root)
    genuine.remove(genuine.find(f"{{{DS}}}Signature"))
    evil.append(genuine)
    return evil


def _wrap_in_advice(root):
    evil = _wrap_as_child(root)
    genuine = evil[-1]
    etree.SubElement(evil, f"{{{SAML}}}Advice").append(genuine)
    return evil


def _wrap_in_foreign_element(root):
    evil = _wrap_with_signature_moved(root)
    genuine = evil[-1]
    etree.SubElement(evil, "{urn:x}Extensions").append(genuine)
    return evil


def _wrap_with_same_id(root):
    evil = _wrap_in_object(root)
    evil.set("ID", "_a1")
    return evil


def _second_id(root):
    root.find(f"{{{SAML}}}Subject").set("ID", "_a1")


def _second_signature(root):
    root.append(copy.deepcopy(root.find(f"{{{DS}}}Signature")))


def _reference_to_part(root):
    root.find(f".//{{{DS}}}Reference").set("URI", "#_part")
    root.find(f"{{{SAML}}}Subject").set("ID", "_part")


def _empty_reference(root):
    root.find(f".//{{{DS}}}Reference").set("URI", "")


def _extra_attribute(root):
    root.find(f"{{{SAML}}}AttributeStatement").append(
        etree.fromstring(f'<a:Attribute xmlns:a="{SAML}" Name="x"><a:AttributeValue>y</a:AttributeValue></a:Attribute>')
    )


ATTACKS = {
    "name changed": _set_text(f"{{{SAML}}}Subject/{{{SAML}}}NameID", "director"),
    "issuer changed": _set_text(f"{{{SAML}}}Issuer", "urn:other"),
    "digest changed": _set_text(f".//{{{DS}}}DigestValue", "AAAA"),
    "attribute added": _extra_attribute,
    "end moved": lambda root: root.find(f"{{{SAML}}}Conditions").set("NotOnOrAfter", "2099-01-01T00:00:00Z"),
    "unsigned": _unsign,
    "signature empty": _without_value,
    "weak algorithm": _sha1,
    "wrapped in object": _wrap_in_object,
    "wrapped as child": _wrap_as_child,
    "wrapped, signature moved": _wrap_with_signature_moved,
    "wrapped in advice": _wrap_in_advice,
    "wrapped in extension": _wrap_in_foreign_element,
    "wrapped, same id": _wrap_with_same_id,
    "id twice": _second_id,
    "two signatures": _second_signature,
    "reference to a part": _reference_to_part,
    "reference to the document changed": _empty_reference,
    "version": lambda root: root.set("Version", "1.1"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack(attack):
    root = etree.fromstring(SIGNED)
    changed = ATTACKS[attack](root)
    refused(etree.tostring(root if changed is None else changed))


def test_comment_cannot_cut_a_name_short():
    """Exclusive canonicalization drops comments, so the signature still holds; the name must stay whole."""
    raw = SIGNED.replace(b">dr.yamamoto<", b">dr.<!-- -->yamamoto<")
    assert raw != SIGNED
    assert read(raw).name_id == "dr.yamamoto"


CONTENT = {
    "no audience": (lambda root: root.find(f"{{{SAML}}}Conditions").clear(), "wsse:InvalidSecurityToken"),
    "no conditions": (lambda root: root.remove(root.find(f"{{{SAML}}}Conditions")), "wsse:InvalidSecurityToken"),
    "no statement": (lambda root: root.remove(root.find(f"{{{SAML}}}AuthnStatement")), "wsse:InvalidSecurityToken"),
    "no subject": (lambda root: root.remove(root.find(f"{{{SAML}}}Subject")), "wsse:InvalidSecurityToken"),
    "holder of key": (
        lambda root: root.find(f".//{{{SAML}}}SubjectConfirmation").set(
            "Method", "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"
        ),
        "wsse:UnsupportedSecurityToken",
    ),
    "unknown condition": (
        lambda root: etree.SubElement(root.find(f"{{{SAML}}}Conditions"), f"{{{SAML}}}Condition"),
        "wsse:InvalidSecurityToken",
    ),
    "purpose without system": (
        lambda root: root.find(".//{urn:hl7-org:v3}PurposeOfUse").attrib.pop("codeSystem"),
        "wsse:InvalidSecurityToken",
    ),
    "no time": (lambda root: root.find(f"{{{SAML}}}Conditions").set("NotBefore", "soon"), "wsse:InvalidSecurityToken"),
    "confirmation ended": (
        lambda root: etree.SubElement(
            root.find(f".//{{{SAML}}}SubjectConfirmation"),
            f"{{{SAML}}}SubjectConfirmationData",
            NotOnOrAfter="2026-11-20T02:00:00Z",
        ),
        "wsse:InvalidSecurityToken",
    ),
}


@pytest.mark.parametrize("case", CONTENT)
def test_content_of_a_correctly_signed_assertion(case):
    change, subcode = CONTENT[case]
    root = etree.fromstring(SIGNED)
    root.remove(root.find(f"{{{DS}}}Signature"))
    change(root)
    assert refused(signed_again(root)).subcodes == (subcode,)


@pytest.mark.parametrize("raw", [b"", b"<a/>", b"<!DOCTYPE a><a/>", b"<" * 100_000])
def test_no_assertion_at_all(raw):
    refused(raw)
