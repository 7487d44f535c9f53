"""The rule version that is shipped: for a population too small to learn from, and where learning begins.

Estimates from what is published about Japanese demographics and about errors in matching them; each row adds up to 1,
which the last place makes sure of. A network replaces them by its own (``weights.learn``).
"""

from __future__ import annotations

from apps.pix.matching.comparison import FIELDS
from apps.pix.matching.weights import RuleVersion, Table


def _table(**rows: tuple[float, ...]) -> Table:
    """[field][level]; the last level of each field gets what is left."""
    named = {name.replace("_", " "): row for name, row in rows.items()}
    return tuple((*named[name], 1 - sum(named[name])) for name in FIELDS)


# Of one human: marriage changes a surname in 3 of 100, people move, employers change.
_SAME = _table(
    given_name=(0.70, 0.15, 0.06, 0.008, 0.008, 0.015, 0.02, 0.012, 0.01, 0.003, 0.002),
    family_name=(0.68, 0.15, 0.06, 0.008, 0.008, 0.015, 0.02, 0.012, 0.01, 0.003, 0.002),
    birth_date=(0.965, 0.010, 0.002, 0.002, 0.006, 0.003, 0.003, 0.001),
    sex=(0.995,),
    place=(0.78, 0.03, 0.05, 0.03, 0.05),
    street=(0.60, 0.12, 0.04, 0.04, 0.05),
    telephone=(0.75, 0.02, 0.01),
    insurance=(0.72, 0.06, 0.01, 0.02, 0.01, 0.06),
    source=(0.05,),
)
# Of one household: couples, siblings, parents; 8 of 1000 pairs are twins, who share a birth date.
_HOUSEHOLD = _table(
    given_name=(0.0005, 0.001, 0.0005, 0.002, 0.0005, 0.002, 0.01, 0.02, 0.01, 0.000002, 0.00001),
    family_name=(0.72, 0.12, 0.06, 0.005, 0.005, 0.01, 0.01, 0.004, 0.004, 0.000002, 0.00001),
    birth_date=(0.008, 0.002, 0.0001, 0.0003, 0.006, 0.0005, 0.008, 0.02),
    sex=(0.48,),
    place=(0.90, 0.02, 0.02, 0.02, 0.02),
    street=(0.75, 0.15, 0.02, 0.02, 0.03),
    telephone=(0.55, 0.01, 0.01),
    insurance=(0.002, 0.10, 0.62, 0.002, 0.002, 0.10),
    source=(0.2,),
)
# Of two strangers in one region.
_STRANGERS = _table(
    given_name=(0.0015, 0.003, 0.0005, 0.0025, 0.0005, 0.002, 0.008, 0.015, 0.008, 0.000002, 0.00001),
    family_name=(0.004, 0.005, 0.001, 0.0005, 0.0005, 0.002, 0.01, 0.015, 0.006, 0.000002, 0.00001),
    birth_date=(0.000035, 0.0006, 0.000012, 0.00006, 0.0035, 0.0004, 0.006, 0.012),
    sex=(0.5,),
    place=(0.003, 0.002, 0.004, 0.03, 0.45),
    street=(0.00002, 0.0001, 0.004, 0.012, 0.002),
    telephone=(0.00001, 0.00001, 0.00015),
    insurance=(0.000001, 0.000001, 0.000001, 0.000001, 0.000005, 0.08),
    source=(0.1,),
)

SHIPPED = RuleVersion(
    name="shipped-1",
    same=_SAME,
    household=_HOUSEHOLD,
    strangers=_STRANGERS,
    share_same=1e-5,
    share_household=1e-5,
    population=100_000,
)
