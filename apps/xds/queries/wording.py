"""What the registry stores as ``code^^scheme`` and as ten digits, in the words of the person who reads the page."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext

from apps.network.queries import facility
from apps.terminology.queries import label
from apps.xds.models import AcceptedCode
from apps.xds.queries import SECONDS
from hie.exchange.remembered import remembered


@dataclass(frozen=True, slots=True)
class Worded:
    """A stored value in words. name: what a person reads. code: what the message said, for those who look it up."""

    name: str
    code: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.code})" if self.code else self.name


def worded_code(stored: str) -> Worded:
    """The network's name of a code ``code^^scheme`` in the language of the page, else its name in the code sets.

    What nobody has named keeps its code as its name; "" is a dash.
    """
    code, _, scheme = stored.partition("^^")
    name = label(scheme, code) or _names_of_code_sets().get((scheme, code), "") or code
    return Worded(name, f"{code}, {scheme}" if scheme else code) if code else Worded("—")


def worded_facility(code: str) -> Worded:
    """A member by its name; what belongs to no member was made by the network itself."""
    if not code:
        return Worded(gettext("This network"))
    known = facility(code)
    return Worded(known.name, code) if known else Worded(code)


@remembered(SECONDS)
def _names_of_code_sets() -> dict[tuple[str, str], str]:
    rows = AcceptedCode.objects.exclude(display="").values_list("scheme", "code", "display")
    return {(scheme, code): display for scheme, code, display in rows}
