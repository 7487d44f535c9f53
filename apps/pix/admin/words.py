"""What the machine compared and how far it agreed, in words that a clerk understands."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.pix.models import Assertion
from apps.pix.queries.reviewing import APART_TAKEN_BACK, KEPT_APART, LINKED_BY_CLERK, MERGE_TAKEN_BACK

FIELDS = {
    "given name": _("Given name"),
    "family name": _("Family name"),
    "birth date": _("Birth date"),
    "sex": _("Sex"),
    "place": _("Town and postal code"),
    "street": _("Street and house number"),
    "telephone": _("Telephone"),
    "insurance": _("Health insurance"),
    "source": _("Facility"),
}

_NAME = {
    "same": _("the same in kanji and kana, variants and long vowels aside"),
    "same, one script": _("the same in the only script that both have"),
    "same, a slip in the other script": _("the same in one script, a small slip in the other"),
    "same reading, other characters": _("the same reading, other characters"),
    "same characters, other reading": _("the same characters, another reading"),
    "sounds alike": _("sounds alike, or a variant of the characters"),
    "one slip": _("one letter is different"),
    "two slips": _("two letters are different"),
    "in part": _("one is a part of the other"),
    "swapped": _("family and given name are exchanged"),
    "swapped with a slip": _("family and given name are exchanged, with a slip"),
    "differs": _("different names"),
}
LEVELS = {
    "given name": _NAME,
    "family name": _NAME,
    "birth date": {
        "equal": _("the same day"),
        "one digit": _("one digit is different"),
        "day and month swapped": _("day and month are exchanged"),
        "other era": _("the same day, perhaps with the wrong era"),
        "two parts equal": _("two of year, month and day are the same"),
        "as far as known": _("the same as far as it is known"),
        "two digits": _("two digits are different"),
        "year equal": _("only the year is the same"),
        "differs": _("different days"),
    },
    "sex": {"same": _("the same"), "differs": _("different")},
    "place": {
        "postal code": _("the same postal code and town"),
        "postal code, other town": _("the same postal code, another town"),
        "town": _("the same town"),
        "town, other postal code": _("the same town, another postal code"),
        "prefecture": _("only the prefecture is the same"),
        "differs": _("different places"),
    },
    "street": {
        "same": _("the same"),
        "similar, same numbers": _("similar, with the same numbers"),
        "same, other numbers": _("the same street, other numbers"),
        "similar, other numbers": _("a similar street, other numbers"),
        "same numbers": _("only the numbers are the same"),
        "differs": _("different"),
    },
    "telephone": {
        "same": _("the same"),
        "one digit": _("one digit is different"),
        "last four digits": _("only the last four digits are the same"),
        "differs": _("different"),
    },
    "insurance": {
        "same person's number": _("the same number and branch: one insured person"),
        "same household, branch unknown": _("the same household; the branch number is missing"),
        "same household, other branch": _("the same household, another branch number"),
        "one digit": _("one digit is different"),
        "two digits": _("two digits are different"),
        "same insurer": _("only the insurer is the same"),
        "differs": _("different"),
    },
    "source": {"same facility": _("both from one facility"), "other facility": _("from two facilities")},
}

RULES = {
    "score": _("The score lies between separate and link."),
    "insurance": _("The insured person's number and the birth date are equal, but a contradiction stands in the way."),
    "name and birth": _("Name, reading, birth date and sex are equal, but a contradiction stands in the way."),
    "twins": _("They may be twins: birth date and household agree, the given names do not quite."),
    "newborn": _("A newborn without a name of its own."),
    "namesake": _("Name and birth date agree, but neither residence nor telephone nor insurance does."),
    "bare name": _("Nothing is known besides name, birth date and sex."),
}
SHORT_RULES = {
    "score": _("score"),
    "insurance": _("insurance, contradicted"),
    "name and birth": _("name and birth date, contradicted"),
    "twins": _("perhaps twins"),
    "newborn": _("newborn"),
    "namesake": _("perhaps namesakes"),
    "bare name": _("nothing but a name"),
}
# Why a link event came to be: what was stated, or, behind the version of the rules, what the machine found.
STATED = {
    **dict(Assertion.Basis.choices),
    "change of number": _("change of number"),
    "link change": _("change told by the identity source"),
    "regional id issued anew": _("regional id issued anew"),
    LINKED_BY_CLERK: _("linked by a clerk"),
    KEPT_APART: _("kept apart by a clerk"),
    APART_TAKEN_BACK: _("no longer kept apart by a clerk"),
    MERGE_TAKEN_BACK: _("merge taken back"),
}
FOUND = {
    "score": _("score"),
    "insurance": _("insured person's number and birth date"),
    "name and birth": _("name, reading, birth date and sex"),
}
STRONGLY_FOR, FOR, NEITHER, AGAINST, STRONGLY_AGAINST = (
    _("speaks strongly for one human"),
    _("speaks for one human"),
    _("says little"),
    _("speaks against one human"),
    _("speaks strongly against one human"),
)


_SEXES = {"M": _("male"), "F": _("female"), "O": _("other sex"), "A": _("ambiguous"), "N": _("not applicable")}


def day(text: str) -> str:
    """``1941-05-03`` of ``19410503``; a part of a date, or what is none, as it was told."""
    whole = len(text) == 8 and text.isdigit()
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if whole else text


def sex(code: str) -> str:
    """The word for a code of HL7 table 0001; one that is none of it stays."""
    return str(_SEXES.get(code, code))


def why(rule: str) -> str:
    """The rule of a link event in words: ``merge``, or a version's name and what it found, as ``japan-1 score``."""
    for name, words in FOUND.items():
        version, found, rest = rule.rpartition(f" {name}")
        if found and not rest:
            return f"{words} ({version})"
    return str(STATED.get(rule, rule))


def weight_in_words(bits: float) -> str:
    """What so many bits say; 10 bits are odds of about 1000 to 1."""
    for least, words in ((6.0, STRONGLY_FOR), (1.0, FOR), (-1.0, NEITHER), (-6.0, AGAINST)):
        if bits >= least:
            return str(words)
    return str(STRONGLY_AGAINST)
