"""A list of patients as a hospital exports it when it joins: one line for each chart, columns named by the first line.

No standard says how; this is what a hospital's system can write as comma-separated text (RFC 4180), in UTF-8 or in the
Shift_JIS of Windows. Column names are those of ``COLUMNS``, in English or Japanese, in any order; a column that is not
known is refused, so that none is left out by a slip of its name. An empty field says nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import Identifier
from hie.values.patients import FeedEvent, PatientFeed
from hie.values.people import Address, Demographics, Insurance, NameParts, PersonName

# Column -> its Japanese name. The chart number is the only one that has to be there.
COLUMNS = {
    "chart_number": "患者番号",
    "family_name": "姓",
    "given_name": "名",
    "family_name_kana": "姓カナ",
    "given_name_kana": "名カナ",
    "family_name_latin": "姓ローマ字",
    "given_name_latin": "名ローマ字",
    "birth_date": "生年月日",
    "sex": "性別",
    "postal_code": "郵便番号",
    "prefecture": "都道府県",
    "city": "市区町村",
    "street": "番地",
    "address": "住所",
    "telephone": "電話番号",
    "mobile": "携帯電話",
    "insurer_number": "保険者番号",
    "insurance_symbol": "記号",
    "insurance_number": "番号",
    "insurance_branch": "枝番",
    "death_date": "死亡日",
}
TRIGGER = "patient list"
_NAMES = {japanese: name for name, japanese in COLUMNS.items()} | {name: name for name in COLUMNS}
_SEX = {"M": "M", "F": "F", "O": "O", "U": "U", "1": "M", "2": "F", "男": "M", "女": "F", "男性": "M", "女性": "F"}
LONGEST_FIELD = 500

Line = Sequence[str]


def read_heading(line: Line) -> tuple[str, ...]:
    """The columns, in their order. Raises ExchangeError: REQUIRED_MISSING without a chart number, WRONG_DATA_TYPE of a
    column that is not known or is there twice; the detail names it, unless the line is no heading but a patient."""
    columns = []
    names = [_NAMES.get(unicodedata.normalize("NFKC", text).strip().lower()) for text in line]
    if not any(names):
        detail = f"The first line is no heading; it has to name the columns: {', '.join(COLUMNS)}."
        raise ExchangeError(Reason.WRONG_DATA_TYPE, detail, "heading")
    for name, text in zip(names, line, strict=True):
        if name is None or name in columns:
            detail = f"The column {text[:40]!r} is not known or stands twice; known are {', '.join(COLUMNS)}."
            raise ExchangeError(Reason.WRONG_DATA_TYPE, detail, "heading")
        columns.append(name)
    if "chart_number" not in columns:
        raise ExchangeError(Reason.REQUIRED_MISSING, "The list has no column chart_number.", "heading")
    return tuple(columns)


def read_line(line: Line, columns: tuple[str, ...], birth_date: Callable[[str], str]) -> PatientFeed:
    """One chart of the list. It has no message id: the same line again is the same update.

    birth_date: any way of writing a date -> ``YYYYMMDD``, shorter, or "". Raises ExchangeError: WRONG_DATA_TYPE
    of a line with more or fewer fields than columns, of a field that is too long, of a sex that is none.
    """
    if len(line) != len(columns):
        detail = f"The line has {len(line)} fields, the heading {len(columns)}."
        raise ExchangeError(Reason.WRONG_DATA_TYPE, detail, "line")
    if max(map(len, line)) > LONGEST_FIELD:
        raise ExchangeError(Reason.WRONG_DATA_TYPE, f"A field has more than {LONGEST_FIELD} characters.", "line")
    given = {name: text.strip() for name, text in zip(columns, line, strict=True)}
    get = given.get
    sex = _SEX.get(get("sex", "").upper(), "") if get("sex") else ""
    if get("sex") and not sex:
        raise ExchangeError(Reason.WRONG_DATA_TYPE, "The sex is none of M F O U, 1 2, 男 女.", "sex")
    address = Address(
        get("postal_code", "").replace("-", "").removeprefix("〒"),
        get("prefecture", ""),
        get("city", ""),
        get("street", ""),
        get("address", ""),
    )
    insurance = Insurance(
        get("insurer_number", ""),
        get("insurance_symbol", ""),
        get("insurance_number", ""),
        get("insurance_branch", ""),
    )
    told = Demographics(
        name=PersonName(
            NameParts(get("family_name", ""), get("given_name", "")),
            NameParts(get("family_name_kana", ""), get("given_name_kana", "")),
            NameParts(get("family_name_latin", ""), get("given_name_latin", "")),
        ),
        birth_date=_date(get("birth_date", ""), birth_date),
        sex=sex,
        addresses=(address,) if address else (),
        telephones=tuple(dict.fromkeys(filter(None, (get("telephone", ""), get("mobile", ""))))),
        insurances=(insurance,) if insurance != Insurance() else (),
        death_time=_date(get("death_date", ""), birth_date),
    )
    return PatientFeed(FeedEvent.REGISTER, TRIGGER, "", (Identifier(given["chart_number"]),), told)


def _date(text: str, read: Callable[[str], str]) -> str:
    """As HL7 writes it. Eight digits stay as they are, mistyped ones too: matching knows what to make of them."""
    return text if not text or (len(text) == 8 and text.isascii() and text.isdigit()) else read(text)
