"""The code sets of the network: judged at registration, loaded from and written to ``codes.xml``.

Lenient (settings.CODE_SETS), a list is what the network recommends; strict, a code that is not listed is refused, in
every attribute that has a list (ITI TF-3 table 4.2.4.1-2: XDSRegistryMetadataError).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.conf import settings
from django.db import transaction

from apps.network.queries import authorities
from apps.xds.models import AcceptedCode
from apps.xds.queries import accepted_codes
from hie.values.codes import Code, CodeType, DomainCode, DomainCodes
from hie.values.documents import DocumentEntry, RegistryObject
from hie.values.errors import Finding, Reason
from hie.wire.ebxml.attributes import Form, model_of
from hie.wire.ebxml.codes import CLASS_SCHEMES, MIME_TYPE, read_codes, write_codes

STRICT = "strict"
_NAMES = {scheme: name for name, scheme in CLASS_SCHEMES.items() if scheme}


def findings(objects: Iterable[RegistryObject]) -> Iterator[Finding]:
    """Codes and MIME types that the network does not accept; none where it is lenient."""
    if settings.CODE_SETS != STRICT:
        return
    accepted = accepted_codes()
    for each in objects:
        for name, code in _codes_of(each):
            if name in accepted and code not in accepted[name]:
                shown = f"{code[0][:64]}^^{code[1][:64]}" if code[1] else code[0][:64]
                detail = f"{name} {shown} is not in the code set of this network; use one that is."
                yield Finding(Reason.METADATA, detail, f"{each.entry_uuid}: {name}")


def _codes_of(each: RegistryObject) -> Iterator[tuple[str, tuple[str, str]]]:
    """(CodeType, (code, scheme)) of every coded attribute of an object."""
    if isinstance(each, DocumentEntry) and each.mime_type:
        yield MIME_TYPE, (each.mime_type, "")
    for row in model_of(each).attributes:
        value = getattr(each, row.field) if row.form is Form.CODE else None
        for code in (value,) if isinstance(value, Code) else value or ():
            yield _NAMES[row.key], (code.code, code.scheme)


@transaction.atomic
def load_codes(raw: bytes, *, replace: bool = False) -> int:
    """Take the codes of a ``codes.xml`` in; returns how many rows were added or changed.

    replace: of the attributes that the file lists, codes that it does not list are switched off. Raises ExchangeError
    with a finding for every line that is wrong, and changes nothing then.
    """
    changed = 0
    for code_type in read_codes(raw).code_types:
        kept = {(row.code, row.scheme): row for row in AcceptedCode.objects.filter(attribute=code_type.name)}
        listed = {(each.code.code, each.code.scheme): each for each in code_type.codes}
        new = [_row(code_type.name, each) for key, each in listed.items() if key not in kept]
        AcceptedCode.objects.bulk_create(new, batch_size=500)
        changed += len(new)
        for key, row in kept.items():
            changed += _renew(row, listed.get(key), switch_off=replace)
    accepted_codes.forget()
    return changed


def dump_codes() -> bytes:
    """The accepted codes, and who may issue patient ids, as ``codes.xml``."""
    types: dict[str, list[DomainCode]] = {}
    for row in AcceptedCode.objects.filter(enabled=True):
        code = DomainCode(Code(row.code, row.scheme, row.display), row.system, row.extension)
        types.setdefault(row.attribute, []).append(code)
    listed = tuple(CodeType(name, tuple(codes), CLASS_SCHEMES[name]) for name, codes in types.items())
    return write_codes(DomainCodes(listed, tuple((f"&{each.oid}&ISO", each.namespace) for each in authorities())))


def _row(attribute: str, each: DomainCode) -> AcceptedCode:
    return AcceptedCode(attribute=attribute, code=each.code.code, scheme=each.code.scheme, **_described(each))


def _described(each: DomainCode) -> dict[str, str]:
    return {"display": each.code.display, "system": each.system, "extension": each.extension}


def _renew(row: AcceptedCode, listed: DomainCode | None, *, switch_off: bool) -> int:
    wanted = {"enabled": not switch_off} if listed is None else {"enabled": True, **_described(listed)}
    if listed is None and not switch_off:
        return 0
    if all(getattr(row, name) == value for name, value in wanted.items()):
        return 0
    for name, value in wanted.items():
        setattr(row, name, value)
    row.save(update_fields=list(wanted))
    return 1
