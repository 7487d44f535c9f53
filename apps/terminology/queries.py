"""What the exchange asks of the network's codes. Answers are values, remembered for five seconds.

Displays are Japanese: they go into metadata (displayName, ja-JP). Screens ask for a ``label``.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import get_language

from apps.terminology import models
from hie.exchange.remembered import remembered
from hie.values.codes import Code

SECONDS = 5.0
DEPARTMENT_SCHEME = "1.2.392.200250.2.2.2"


@dataclass(frozen=True, slots=True)
class DataType:
    """An SS-MIX2 data type; registered: its messages become documents. Codes as XDS metadata carry them."""

    code: str
    display: str
    registered: bool
    class_code: Code
    type_code: Code
    format_code: Code
    event_code: Code
    content_type_code: Code


def code(kind: str, key: str) -> Code | None:
    """What the network calls this key: ``code("class", "OML-11")``, ``code("facility-type", "pharmacy")``.

    Kinds: class, type, format, event, content-type (key: SS-MIX2 data type or document type code), facility-type
    (kind of facility), practice-setting (department), confidentiality, purpose-of-use. None where nothing is mapped.
    """
    return _maps().get((kind, key))


def codes(kind: str) -> tuple[Code, ...]:
    """The value set of a kind: every code that something maps to, once, in the order of the keys."""
    return tuple(
        dict.fromkeys(each for (of, _), each in sorted(_maps().items(), key=lambda item: item[0]) if of == kind)
    )


def display(scheme: str, value: str) -> str:
    """The Japanese name of a code, or "" where the network does not know it."""
    return _displays().get((scheme, value), ("", ""))[0]


def label(scheme: str, value: str) -> str:
    """The name of a code in the language of the page, or "" where the network does not know it."""
    japanese, english = _displays().get((scheme, value), ("", ""))
    return _spoken(japanese, english)


def data_type_label(value: str) -> str:
    """The name of an SS-MIX2 data type in the language of the page, or "" where the network does not know it."""
    return _spoken(*_data_type_names().get(value, ("", "")))


def _spoken(japanese: str, english: str) -> str:
    return japanese if (get_language() or "ja").startswith("ja") else english or japanese


def department(value: str, text: str = "") -> Code | None:
    """The practiceSettingCode of a department of unified table 0069; None for "" and "-".

    A three-character subdivision bears the name of the two-digit department it belongs to, unless the message
    names it (``text``). A facility's own code stays as it is, with its text.
    """
    if value in ("", "-"):
        return None
    known = code("practice-setting", value) or code("practice-setting", value[:2] if len(value) == 3 else "")
    if known is None:
        return Code(value, DEPARTMENT_SCHEME, text or value)
    return known if known.code == value else Code(value, known.scheme, text or known.display)


def data_type(value: str) -> DataType | None:
    """An SS-MIX2 data type with all its codes; None where the network does not know it or a code is not mapped."""
    return _data_types().get(value)


def data_types() -> tuple[DataType, ...]:
    """All SS-MIX2 data types that the network knows, in the order of their codes."""
    return tuple(_data_types().values())


def is_registered(value: str) -> bool:
    """Whether messages of this data type become documents."""
    found = data_type(value)
    return found is not None and found.registered


@remembered(SECONDS)
def _maps() -> dict[tuple[str, str], Code]:
    rows = models.CodeMap.objects.filter(enabled=True).values_list(
        "kind", "key", "code__code", "code__system__scheme", "code__display_ja"
    )
    return {(kind, key): Code(value, scheme, shown) for kind, key, value, scheme, shown in rows}


@remembered(SECONDS)
def _displays() -> dict[tuple[str, str], tuple[str, str]]:
    """(scheme, code) -> its names in Japanese and in English."""
    rows = models.Code.objects.values_list("system__scheme", "code", "display_ja", "display_en")
    return {(scheme, value): (japanese, english) for scheme, value, japanese, english in rows}


@remembered(SECONDS)
def _data_type_names() -> dict[str, tuple[str, str]]:
    rows = models.DataType.objects.values_list("code", "display_ja", "display_en")
    return {value: (japanese, english) for value, japanese, english in rows}


@remembered(SECONDS)
def _data_types() -> dict[str, DataType]:
    found = {}
    for value, shown, registered in models.DataType.objects.values_list("code", "display_ja", "registered"):
        class_code, type_code = code("class", value), code("type", value)
        format_code, event_code, content_type = code("format", value), code("event", value), code("content-type", value)
        if class_code and type_code and format_code and event_code:
            found[value] = DataType(
                value, shown, registered, class_code, type_code, format_code, event_code, content_type or class_code
            )
    return found
