"""Parts of a CDA document as text: data types of HL7 v3 (CD, II, TS, IVL_TS, ED) and the narrative block.

Everything that comes from outside passes ``escape``; an element whose value is empty is left out or bears nullFlavor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hie.values.codes import Code
from hie.values.identifiers import is_oid
from hie.values.people import NameParts, PersonName
from hie.values.summaries import Coded
from hie.wire.xml import escape

NOT_KNOWN = ' nullFlavor="UNK"'


def attribute(name: str, value: str) -> str:
    """`` name="value"``, nothing where the value is empty."""
    return f' {name}="{escape(value)}"' if value else ""


def instance_identifier(root: str, extension: str = "") -> str:
    """An II."""
    return f'<id root="{escape(root)}"{attribute("extension", extension)}/>'


def code_attributes(code: Code) -> str:
    """The attributes of a CD or CE; a scheme that is no OID stands as its name."""
    system = attribute("codeSystem" if is_oid(code.scheme) else "codeSystemName", code.scheme)
    return f"{attribute('code', code.code)}{system}{attribute('displayName', code.display)}"


def coded(name: str, value: Coded, reference: str = "", kind: str = "") -> str:
    """A CD: the first standard code, the others as translations, the words by reference into the narrative.

    kind: the type where the schema leaves it open, as ``CD``.
    """
    typed = f' xsi:type="{kind}"' if kind else ""
    first = code_attributes(value.codes[0]) if value.codes else ' nullFlavor="OTH"'
    words = f'<originalText><reference value="#{reference}"/></originalText>' if reference else ""
    rest = "".join(f"<translation{code_attributes(each)}/>" for each in value.codes[1:])
    inside = words + rest
    return f"<{name}{typed}{first}>{inside}</{name}>" if inside else f"<{name}{typed}{first}/>"


def time(text: str) -> str:
    """A TS value of a time in Japan: the offset where the time is known to the minute; "" where it is no time."""
    if not (text.isascii() and text.isdigit() and 4 <= len(text) <= 14):
        return ""
    return f"{text}+0900" if len(text) >= 12 else text


def moment(name: str, text: str) -> str:
    """An element of type TS."""
    value = time(text)
    return f"<{name}{attribute('value', value) or NOT_KNOWN}/>"


def interval(start: str, stop: str, kind: str = "") -> str:
    """effectiveTime as IVL_TS, nothing where neither end is a time."""
    low, high = time(start), time(stop)
    if not low and not high:
        return ""
    inside = "".join(f"<{name}{attribute('value', value)}/>" for name, value in (("low", low), ("high", high)) if value)
    typed = f' xsi:type="{kind}"' if kind else ""
    return f"<effectiveTime{typed}>{inside}</effectiveTime>"


def names(name: PersonName) -> str:
    """The PNs of a person, marked by representation: IDE, SYL, ABC."""
    known = (("IDE", name.ideographic), ("SYL", name.phonetic), ("ABC", name.alphabetic))
    found = "".join(_name(use, parts) for use, parts in known if parts)
    return found or f"<name{NOT_KNOWN}/>"


def _name(use: str, parts: NameParts) -> str:
    family = f"<family>{escape(parts.family)}</family>" if parts.family else ""
    given = f"<given>{escape(parts.given)}</given>" if parts.given else ""
    return f'<name use="{use}">{family}{given}</name>'


def paragraph(text: str) -> str:
    """A paragraph of the narrative."""
    return f"<paragraph>{escape(text)}</paragraph>"


def table(columns: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """A table of the narrative. rows: (id of the row, its cells)."""
    head = "".join(f"<th>{escape(each)}</th>" for each in columns)
    body = "".join(
        f'<tr ID="{identity}">{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>' for identity, cells in rows
    )
    return f'<table border="1"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
