"""Who is who, decided on values alone: no database, no clock, no order of arrival.

normalisation   one spelling for what is the same: kanji variants, kana, eras, addresses, numbers
charts          what matching sees of one chart
deterministic   the two rules that need no weights, and the clusters they give
"""

from apps.pix.matching.charts import Chart, Coverage, Name, Place, read_chart
from apps.pix.matching.deterministic import (
    INSURANCE,
    NAME_AND_BIRTH,
    RULES,
    Cluster,
    Link,
    Rule,
    clusters,
    contradict,
    match_keys,
)
from apps.pix.matching.normalisation import (
    birth_date,
    birth_day,
    insurance_key,
    kana_key,
    kana_sound,
    kanji_folding,
    kanji_key,
    kanji_suggestions,
    latin_key,
    telephone_key,
)

__all__ = [
    "INSURANCE",
    "NAME_AND_BIRTH",
    "RULES",
    "Chart",
    "Cluster",
    "Coverage",
    "Link",
    "Name",
    "Place",
    "Rule",
    "birth_date",
    "birth_day",
    "clusters",
    "contradict",
    "insurance_key",
    "kana_key",
    "kana_sound",
    "kanji_folding",
    "kanji_key",
    "kanji_suggestions",
    "latin_key",
    "match_keys",
    "read_chart",
    "telephone_key",
]
