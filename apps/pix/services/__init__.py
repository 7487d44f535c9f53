"""The verbs of the patient index, one for all dialects: ``feed`` tells of patients, ``feed_all`` of many at once,
``tell_encounter`` of their stays, ``find_patients`` finds them."""

from apps.pix.services.batches import feed_all
from apps.pix.services.encounters import tell_encounter
from apps.pix.services.feeding import REMEMBERED, feed, forget_old_messages
from apps.pix.services.finding import (
    cancel_search,
    continue_search,
    find_patients,
    search,
    subjects_of_continuation,
    subjects_of_search,
)
from apps.pix.services.identity_source import change_link
from apps.pix.services.notifying import forget_told, give_up, retry_now, send_due
from apps.pix.services.reissuing import NotActiveError, NotOursError, reissue
from apps.pix.services.reviewing import (
    AlreadyDecidedError,
    ExplainedPair,
    StatedElsewhereError,
    after,
    annotate,
    decide,
    explain_pair,
    keep_apart,
    link,
    part,
    postpone,
    rejoin,
    take_back,
    unmerge,
)

__all__ = [
    "REMEMBERED",
    "AlreadyDecidedError",
    "ExplainedPair",
    "NotActiveError",
    "NotOursError",
    "StatedElsewhereError",
    "after",
    "annotate",
    "cancel_search",
    "change_link",
    "continue_search",
    "decide",
    "explain_pair",
    "feed",
    "feed_all",
    "find_patients",
    "forget_old_messages",
    "forget_told",
    "give_up",
    "keep_apart",
    "link",
    "part",
    "postpone",
    "reissue",
    "rejoin",
    "retry_now",
    "search",
    "send_due",
    "subjects_of_continuation",
    "subjects_of_search",
    "take_back",
    "tell_encounter",
    "unmerge",
]
