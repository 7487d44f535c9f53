"""What becomes of two charts: link, review or separate, and why.

Hard rules speak first, where the rule version switches them on; then the score against two thresholds. Only the
insurance rule raises a doubtful score; the others hold a high one back, because the evidence behind it is that of a
household or of a name and not of one human.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from apps.pix.matching import comparison as level
from apps.pix.matching.charts import Chart, Named
from apps.pix.matching.comparison import BIRTH, GIVEN, INSURANCE, MISSING, PLACE, STREET, TELEPHONE, Vector
from apps.pix.matching.deterministic import contradict
from apps.pix.matching.weights import Explanation, Scorer


class Outcome(Enum):
    """What a pair of charts is taken for. SEPARATE needs no record: it is what every other pair is."""

    LINK = "link"
    REVIEW = "review"
    SEPARATE = "separate"


# The hard rules by name, with what each says. Names are codes: they stand in rule versions and in decisions.
HARD_RULES = {
    "insurance": "insurer, symbol, number, branch and birth date are equal and nothing contradicts: one human",
    "twins": "one birthday and household, but given names that are not one name: two humans",
    "newborn": "a baby without a name of its own: nobody but a clerk links it, unless its own insurance number says so",
    "namesake": "nothing besides name and birth date speaks for one human, though more is known: a clerk decides",
    "bare name": "nothing is known besides name, birth date and sex: a clerk decides",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One pair decided. rule: "score" or a name of ``HARD_RULES``. apart: they may not even meet over a third chart."""

    outcome: Outcome
    score: float
    rule: str
    vector: Vector
    apart: bool = False


def decide(scorer: Scorer, one: Chart, other: Chart) -> Verdict:
    """What becomes of a pair. It depends on the two charts and the rule version alone, and not on their order."""
    vector = level.compare(one, other)
    score = scorer.score(one, other, vector)
    version = scorer.version
    rules = version.hard_rules
    if "insurance" in rules and _one_insured(one, other):
        return Verdict(Outcome.LINK, score, "insurance", vector)
    if "twins" in rules and one.current and other.current:
        held = _twins(one, other, vector, likely=score >= version.review)
        if held is not None:
            return Verdict(held, score, "twins", vector, apart=held is Outcome.SEPARATE)
    outcome = _by_score(score, version.link, version.review)
    if outcome is Outcome.LINK:
        held_back = _held_back(scorer, one, other, vector)
        if held_back in rules:
            return Verdict(Outcome.REVIEW, score, held_back, vector)
    apart = score <= version.apart and score <= scorer.nothing_known - _AGAINST
    return Verdict(outcome, score, "score", vector, apart=apart)


# Two charts may only be kept from meeting by what was compared, not by how rare one human's charts are among all: so
# many bits it has to speak against one human.
_AGAINST = 3.0


def plainly_two(scorer: Scorer, one: Named, other: Named, *, insured: bool) -> bool:
    """Whether ``decide`` takes two charts for separate whatever else they say, told by names and birth dates alone.

    insured: they may share an insurance number; then it takes another birth date besides another given name, as the
    members of one household have. Most candidates are told apart so, before the rest is read.
    """
    return (
        "twins" in scorer.version.hard_rules
        and one.current
        and other.current
        and level.given_names(one, other) == level.DIFFERENT_NAME
        and not (insured and _born_alike(one, other))
    )


def _born_alike(one: Named, other: Named) -> bool:
    return one.birth_date == other.birth_date != "" or level.births(one, other) == level.BIRTH_EQUAL


def explain(scorer: Scorer, one: Chart, other: Chart, verdict: Verdict) -> Explanation:
    """Field by field why: codes of field and level, and the bits each moved the score. No patient data."""
    return scorer.explain(one, other, verdict.vector)


def _by_score(score: float, link: float, review: float) -> Outcome:
    if score >= link:
        return Outcome.LINK
    return Outcome.REVIEW if score >= review else Outcome.SEPARATE


def _one_insured(one: Chart, other: Chart) -> bool:
    return (
        not one.insurances.isdisjoint(other.insurances)
        and one.birth_date == other.birth_date != ""
        and not contradict(one, other)
        and not (one.newborn and other.newborn)
    )


def _twins(one: Chart, other: Chart, vector: Vector, *, likely: bool) -> Outcome | None:
    """Whether given names and household speak of siblings born together; None where they do not.

    Given names that are plainly two names part the charts whatever else agrees, unless the insurance number is one
    person's own: then a clerk decides. Names that nearly agree are held back from an automatic link.
    """
    given, own_number = vector[GIVEN], vector[INSURANCE] == level.INSURED_PERSON
    if given == level.DIFFERENT_NAME:
        # A given name does not change with marriage; but a surname taken for it, or a stand-in, does.
        return Outcome.REVIEW if own_number and vector[BIRTH] == level.BIRTH_EQUAL and likely else Outcome.SEPARATE
    if own_number or vector[BIRTH] != level.BIRTH_EQUAL or not likely:
        return None
    if given == level.IN_PART and _middle_name_left_out(one, other) and vector[TELEPHONE] == 0:
        return None
    return Outcome.REVIEW if given in _NEARLY and _household(vector) else None


def _middle_name_left_out(one: Chart, other: Chart) -> bool:
    """Latin names of which one has all words of the other and more: a passport's name and the one in use.

    Siblings are named so, too (MARIA and MARIA LUISA), so it wants a telephone that both charts have.
    """
    words, others = ({*f"{name.family} {name.given}".split()} for name in (one.names_latin, other.names_latin))
    return min(len(words), len(others)) > 1 and (words < others or others < words)


_NEARLY = frozenset((MISSING, level.ONE_SLIP, level.TWO_SLIPS, level.IN_PART, level.SWAPPED_SLIP))


def _household(vector: Vector) -> bool:
    return (
        0 <= vector[PLACE] <= 2
        or vector[TELEPHONE] == 0
        or vector[INSURANCE] in (level.INSURED_UNKNOWN, level.INSURED_OTHER)
    )


def _held_back(scorer: Scorer, one: Chart, other: Chart, vector: Vector) -> str:
    """The rule that may keep a good score from becoming a link; "" where none does.

    People of one name and birth date are more than chance says: names go by year and by family. So a link wants one
    piece of evidence besides them: a residence, a telephone or an insurance that strangers do not share.
    """
    if one.newborn or other.newborn:
        return "newborn"
    if all(vector[each] == MISSING for each in _BESIDES):
        return "bare name"
    residence = scorer.bits(vector, PLACE) + scorer.bits(vector, STREET)
    numbers = (scorer.bits(vector, each) for each in (TELEPHONE, INSURANCE) if vector[each] not in _NEAR_MISSES[each])
    return "namesake" if max(residence, *numbers, 0.0) < scorer.version.support else ""


# A number that is another one but for a digit was mistyped where something else says that it is one human. Alone it is
# somebody else's number: numbers are given out in rows.
_NEAR_MISSES = {
    TELEPHONE: (level.TELEPHONE_DIGIT,),
    INSURANCE: (level.INSURED_DIGIT, level.INSURED_DIGITS),
}


_BESIDES = (PLACE, STREET, TELEPHONE, INSURANCE)
