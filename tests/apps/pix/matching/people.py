"""Charts for the tests of matching: one person, and everything that can be said differently of them."""

from __future__ import annotations

from typing import Any

from apps.pix.matching import Chart, read_chart
from hie.values.people import Address, Demographics, Insurance, NameParts, PersonName

HOME = Address("8600001", "熊本県", "熊本市中央区", "上町1-2-3")
ELSEWHERE = Address("8120044", "福岡県", "福岡市東区", "西原4-5-6")
INSURED = Insurance("06400123", "123", "45678", "03")


def chart(number: int, **told: Any) -> Chart:
    """A chart of 山田健一; ``told`` changes what is said: kanji, kana, latin as "family given", other fields."""
    names = {
        "kanji": told.get("kanji", "山田 健一"),
        "kana": told.get("kana", "ヤマダ ケンイチ"),
        "latin": told.get("latin", ""),
    }
    parts = {script: NameParts(*name.split("|")[0].split(" ", 1)) for script, name in names.items()}
    demographics = Demographics(
        name=PersonName(parts["kanji"], parts["kana"], parts["latin"]),
        birth_date=told.get("birth", "19820503"),
        sex=told.get("sex", "M"),
        addresses=told.get("addresses", (HOME,)),
        telephones=told.get("telephones", ("090-1234-5678",)),
        insurances=told.get("insurances", (INSURED,)),
    )
    return read_chart(number, demographics, facility=told.get("facility", f"facility {number}"))
