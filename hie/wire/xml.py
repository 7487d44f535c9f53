"""The one XML parser of every dialect: what a stranger sends is read here and nowhere else.

XML 1.0 without document type: SOAP 1.2 part 1 section 5 forbids one, and nothing that we read needs it. Refused are
document types and entities, nesting, length, and more markup than a message of ours ever has; comments and processing
instructions are dropped, so that no text is split by them. Text is decoded by Python's codecs before the
parser sees it, which leaves libxml2 one encoding to know.

lxml keeps every name that a thread has ever met in a dictionary of that thread, which libxml2 lets grow to 100 MB; from
then on the thread can read nothing new. A partner could fill it with invented names. Long documents, which could do
so quickly, are therefore parsed in a thread of their own, whose dictionary goes when the document goes; and so is
everything once a dictionary is full. (Measured: 113 documents of 3 MB stop a thread; a fresh thread costs 0.1 ms.)
"""

from __future__ import annotations

import re
import threading
from xml.sax.saxutils import escape as _escape

from lxml import etree

from hie.values.errors import ExchangeError, Reason

MAX_BYTES = 8 * 1024 * 1024
MAX_ELEMENTS = 250_000
MAX_ATTRIBUTES = 500_000
LONG_BYTES = 64 * 1024
MAX_DEPTH = 256  # libxml2's own limit without XML_PARSE_HUGE

# What a partner may declare; anything else (UTF-7, EBCDIC, UTF-32) is a way to hide markup from the checks below.
_CODECS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "iso-8859-1": "latin-1",
    "shift_jis": "cp932",
    "windows-31j": "cp932",
    "euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp",
}
_UTF8 = re.compile(rb"\xef\xbb\xbf")
_DECLARATION = re.compile(r"\s*<\?xml\s[^>]{0,200}?\?>")
_DECLARED_ENCODING = re.compile(rb"""\s*<\?xml\s[^>]{0,100}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")

_RULES = {
    etree.ErrorTypes.ERR_TAG_NAME_MISMATCH: "a start tag and an end tag do not match",
    etree.ErrorTypes.ERR_TAG_NOT_FINISHED: "the document ends inside an element",
    etree.ErrorTypes.ERR_DOCUMENT_EMPTY: "there is no document",
    etree.ErrorTypes.ERR_DOCUMENT_END: "there is something after the end of the document",
    etree.ErrorTypes.ERR_UNDECLARED_ENTITY: "entities are not allowed",
    etree.ErrorTypes.WAR_UNDECLARED_ENTITY: "entities are not allowed",
    etree.ErrorTypes.ERR_ENTITY_LOOP: "entities are not allowed",
    etree.ErrorTypes.NS_ERR_UNDEFINED_NAMESPACE: "a namespace prefix is not declared",
    etree.ErrorTypes.ERR_ATTRIBUTE_REDEFINED: "an attribute is given twice",
    etree.ErrorTypes.ERR_INVALID_CHAR: "there is a character that XML 1.0 does not allow",
    etree.ErrorTypes.ERR_INVALID_ENCODING: "the bytes are not in the declared encoding",
}

_NO_DOCUMENT_TYPE = "The XML document has a document type, which is not allowed."

_thread = threading.local()
_TO_ESCAPE = re.compile("[^\t\n\u0020!#-%'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse(raw: bytes, max_bytes: int = MAX_BYTES) -> etree._Element:
    """The root element of a document of at most max_bytes.

    Raises ExchangeError with UNREADABLE or TOO_LARGE; it names the line and the rule, never what stands there.
    """
    if len(raw) > max_bytes:
        raise ExchangeError(Reason.TOO_LARGE, f"The XML document is larger than the {max_bytes} bytes allowed.")
    text = _as_utf8(raw)
    if text.count(b"<") > 2 * MAX_ELEMENTS or text.count(b"=") > MAX_ATTRIBUTES:
        raise ExchangeError(Reason.TOO_LARGE, f"The XML document has more than {MAX_ELEMENTS} elements.")
    try:
        root = _parse_apart(text) if len(text) > LONG_BYTES else _parse_here(text)
    except etree.XMLSyntaxError as error:
        raise _unreadable(error, b"<!DOCTYPE" in text[:4096]) from None
    if root is None:
        raise ExchangeError(Reason.UNREADABLE, "The XML document has no element.")
    if root.getroottree().docinfo.internalDTD is not None:
        raise ExchangeError(Reason.UNREADABLE, _NO_DOCUMENT_TYPE)
    return root


def escape(text: str) -> str:
    """The text as it stands in an element or in an attribute in double quotes; illegal characters become U+FFFD."""
    if _TO_ESCAPE.search(text) is None:
        return text
    return _escape(_ILLEGAL.sub("\ufffd", text), {'"': "&quot;", "\r": "&#13;"})


def _as_utf8(raw: bytes) -> bytes:
    """The document in UTF-8. A declaration of another encoding is taken off, because it is then no longer true."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or raw[:2] in (b"<\x00", b"\x00<"):
        codec = "utf-16" if raw[:1] in (b"\xff", b"\xfe") else "utf-16-le" if raw[:1] == b"<" else "utf-16-be"
    else:
        declared = _DECLARED_ENCODING.match(raw, 3 if _UTF8.match(raw) else 0)
        name = declared[1].decode("ascii").lower() if declared else "utf-8"
        codec = _CODECS.get(name, "")
    if codec == "utf-8":
        return raw
    if not codec:
        raise ExchangeError(
            Reason.UNREADABLE, "The XML document declares an encoding that is not read here; use UTF-8."
        )
    try:
        decoded = raw.decode(codec)
    except UnicodeDecodeError:
        raise ExchangeError(Reason.UNREADABLE, f"The XML document is not in the encoding {codec} it claims.") from None
    return _DECLARATION.sub("", decoded, count=1).encode("utf-8", "replace")


def _parse_here(text: bytes) -> etree._Element:
    """By the parser of this thread: a shared one would let only one thread parse at a time."""
    parser: etree.XMLParser | None = getattr(_thread, "parser", None)
    if parser is None:
        parser = _thread.parser = _new_parser()
    try:
        return etree.fromstring(text, parser)
    except etree.XMLSyntaxError as error:
        if error.code != etree.ErrorTypes.ERR_NO_MEMORY:  # type: ignore[attr-defined]
            raise
    return _parse_apart(text)


def _parse_apart(text: bytes) -> etree._Element:
    """In a thread of its own, with a dictionary of names of its own."""
    outcome: list[etree._Element | etree.XMLSyntaxError] = []

    def run() -> None:
        try:
            outcome.append(etree.fromstring(text, _new_parser()))
        except etree.XMLSyntaxError as error:
            outcome.append(error)

    thread = threading.Thread(target=run, name="xml")
    thread.start()
    thread.join()
    if isinstance(outcome[0], etree.XMLSyntaxError):
        raise outcome[0]
    return outcome[0]


def _new_parser() -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _unreadable(error: etree.XMLSyntaxError, document_type: bool) -> ExchangeError:
    if document_type:
        return ExchangeError(Reason.UNREADABLE, _NO_DOCUMENT_TYPE)
    line = error.position[0] if error.position else 0
    rule = _RULES.get(error.code)  # type: ignore[attr-defined]
    if rule is None:
        limit = "depth" in (error.msg or "") or "huge" in (error.msg or "").lower()
        rule = f"a limit is exceeded (depth {MAX_DEPTH}, 10 MB of text in one place)" if limit else "not well-formed"
    return ExchangeError(Reason.UNREADABLE, f"The XML document cannot be read: line {line}: {rule}.", f"line {line}")
