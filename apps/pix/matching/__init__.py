"""Who is who, decided on values alone: no database, no clock, no order of arrival.

normalisation   one spelling for what is the same: kanji variants, kana, eras, addresses, numbers
charts          what matching sees of one chart
candidates      which charts are worth comparing: several keys of each
comparison      at which level two charts agree, field by field
weights         what agreement is worth; learned from the population by expectation-maximisation
defaults        the weights that are shipped
decisions       link, review or separate: hard rules, then the score
clusters        from pairs to persons, whatever the order
engine          one chart after another over a store
deterministic   the two rules that need no weights, and the clusters they give
"""

from apps.pix.matching.candidates import LARGEST_BLOCK, Kind, Search, candidates, gather, keys, kinds_for, pairs
from apps.pix.matching.charts import Chart, Coverage, Glance, Name, Named, Place, glance, read_chart
from apps.pix.matching.clusters import Group, Grouping, Tie, group
from apps.pix.matching.comparison import FIELDS, compare
from apps.pix.matching.decisions import HARD_RULES, Outcome, Verdict, decide, explain, plainly_two
from apps.pix.matching.defaults import SHIPPED
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
from apps.pix.matching.engine import (
    Considered,
    Decision,
    MemoryStore,
    Regrouped,
    Statement,
    Store,
    consider,
    consider_found,
    regroup,
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
from apps.pix.matching.weights import Explanation, RuleVersion, Scorer, Weight, learn

__all__ = [
    "FIELDS",
    "HARD_RULES",
    "INSURANCE",
    "LARGEST_BLOCK",
    "NAME_AND_BIRTH",
    "RULES",
    "SHIPPED",
    "Chart",
    "Cluster",
    "Considered",
    "Coverage",
    "Decision",
    "Explanation",
    "Glance",
    "Group",
    "Grouping",
    "Kind",
    "Link",
    "MemoryStore",
    "Name",
    "Named",
    "Outcome",
    "Place",
    "Regrouped",
    "Rule",
    "RuleVersion",
    "Scorer",
    "Search",
    "Statement",
    "Store",
    "Tie",
    "Verdict",
    "Weight",
    "birth_date",
    "birth_day",
    "candidates",
    "clusters",
    "compare",
    "consider",
    "consider_found",
    "contradict",
    "decide",
    "explain",
    "gather",
    "glance",
    "group",
    "insurance_key",
    "kana_key",
    "kana_sound",
    "kanji_folding",
    "kanji_key",
    "kanji_suggestions",
    "keys",
    "kinds_for",
    "latin_key",
    "learn",
    "match_keys",
    "pairs",
    "plainly_two",
    "read_chart",
    "regroup",
    "telephone_key",
]
