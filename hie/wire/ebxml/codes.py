"""``codes.xml``: the codes of an affinity domain as IHE's test tools exchange them (a file of practice, no standard).

A Codes element has a CodeType for each attribute, named as the Technical Framework names it, except that the codes of
a Folder are ``folderCodeList``; then the AssigningAuthorities of patient ids. Codes of MIME types have no scheme.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from hie.values.codes import Code, CodeType, DomainCode, DomainCodes
from hie.values.errors import ExchangeError, Finding, Reason
from hie.wire.ebxml.attributes import ASSOCIATION, DOCUMENT_ENTRY, FOLDER, SUBMISSION_SET, Form, Model
from hie.wire.ebxml.values import oid
from hie.wire.xml import MAX_BYTES, escape, parse

MIME_TYPE = "mimeType"
_NAMES = {(FOLDER.name, "codeList"): "folderCodeList"}
_LONGEST = 256


def _name(model: Model, name: str) -> str:
    return _NAMES.get((model.name, name), name)


# name of a CodeType -> the classification scheme of the attribute, "" of a MIME type
CLASS_SCHEMES: dict[str, str] = {
    _name(model, row.name): row.key
    for model in (DOCUMENT_ENTRY, SUBMISSION_SET, FOLDER, ASSOCIATION)
    for row in model.attributes
    if row.form is Form.CODE
} | {MIME_TYPE: ""}


def read_codes(raw: bytes, max_bytes: int = MAX_BYTES) -> DomainCodes:
    """The codes in a file, in its order; a code that comes twice is kept once.

    Raises ExchangeError with a finding (location: the line) for everything that is wrong with it.
    """
    root = parse(raw, max_bytes)
    if root.tag != "Codes":
        raise ExchangeError(Reason.UNREADABLE, "The root of the file has to be Codes.", "line 1")
    findings = list(_judge(root))
    if findings:
        raise ExchangeError.of(findings)
    types: dict[str, dict[tuple[str, str], DomainCode]] = {}
    for code_type in root.iterchildren("CodeType"):
        codes = types.setdefault(code_type.get("name", ""), {})
        for each in code_type.iterchildren("Code"):
            code = _read_code(each)
            codes.setdefault((code.code.code, code.code.scheme), code)
    authorities = dict.fromkeys(
        (each.get("id", "").strip(), each.get("display", "").strip())
        for each in root.iterchildren("AssigningAuthority")
    )
    return DomainCodes(
        tuple(CodeType(name, tuple(codes.values()), CLASS_SCHEMES[name]) for name, codes in types.items()),
        tuple(authorities),
    )


def write_codes(codes: DomainCodes) -> bytes:
    """The file: UTF-8 with a declaration, a line for each code."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<Codes>"]
    for code_type in codes.code_types:
        scheme = _written("classScheme", code_type.class_scheme)
        lines.append(f'    <CodeType name="{escape(code_type.name)}"{scheme}>')
        lines += [f"        <Code{_write_code(each)}/>" for each in code_type.codes]
        lines.append("    </CodeType>")
    for authority, name in codes.assigning_authorities:
        lines.append(f"    <AssigningAuthority{_written('id', authority)}{_written('display', name)}/>")
    return "\n".join((*lines, "</Codes>", "")).encode()


def _judge(root: etree._Element) -> Iterator[Finding]:
    for child in root:
        if child.tag == "CodeType":
            yield from _judge_type(child)
        elif child.tag == "AssigningAuthority":
            parts = (child.get("id") or "").strip().split("&")
            if len(parts) != 3 or parts[0] or parts[2] != "ISO" or oid(parts[1]):
                yield _finding(child, "AssigningAuthority/@id has to be written &OID&ISO")
        else:
            yield _finding(child, f"{etree.QName(child).localname[:100]} has no place in Codes")


def _judge_type(code_type: etree._Element) -> Iterator[Finding]:
    name = code_type.get("name", "")
    if name not in CLASS_SCHEMES:
        yield _finding(code_type, f"CodeType/@name has to be one of {', '.join(sorted(CLASS_SCHEMES))}")
        return
    scheme = code_type.get("classScheme", "").strip()
    if scheme and scheme != CLASS_SCHEMES[name]:
        yield _finding(code_type, f"CodeType/@classScheme of {name} has to be {CLASS_SCHEMES[name] or 'left out'}")
    for code in code_type:
        if code.tag != "Code" or not code.get("code", "").strip():
            yield _finding(code, f"A CodeType has to have Codes alone, each with its code ({name})")
        elif name != MIME_TYPE and not code.get("codingScheme", "").strip():
            yield _finding(code, f"A Code of {name} has to have its codingScheme")
        elif any(len(value) > _LONGEST for value in code.attrib.values()):
            yield _finding(code, f"The attributes of a Code have to be at most {_LONGEST} characters long")


def _read_code(element: etree._Element) -> DomainCode:
    code, scheme, display, system, extension = (
        element.get(name, "").strip() for name in ("code", "codingScheme", "display", "system", "ext")
    )
    return DomainCode(Code(code, scheme, display), system, extension)


def _write_code(each: DomainCode) -> str:
    return "".join(
        (
            _written("code", each.code.code),
            _written("display", each.code.display),
            _written("codingScheme", each.code.scheme),
            _written("system", each.system),
            _written("ext", each.extension),
        )
    )


def _written(name: str, value: str) -> str:
    return f' {name}="{escape(value)}"' if value else ""


def _finding(element: etree._Element, sentence: str) -> Finding:
    line = f"line {element.sourceline}"
    return Finding(Reason.NOT_IN_TABLE, f"{sentence} ({line}).", line)
