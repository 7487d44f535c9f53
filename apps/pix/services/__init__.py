"""The verbs of the patient index, one for all dialects: ``feed`` tells of patients, ``tell_encounter`` of their stays,
``find_patients`` finds them."""

from apps.pix.services.encounters import tell_encounter
from apps.pix.services.feeding import REMEMBERED, feed, forget_old_messages
from apps.pix.services.finding import (
    cancel_search,
    continue_search,
    find_patients,
    subjects_of_continuation,
    subjects_of_search,
)
from apps.pix.services.notifying import forget_told, give_up, retry_now, send_due
from apps.pix.services.reissuing import NotActiveError, reissue

__all__ = [
    "REMEMBERED",
    "NotActiveError",
    "cancel_search",
    "continue_search",
    "feed",
    "find_patients",
    "forget_old_messages",
    "forget_told",
    "give_up",
    "reissue",
    "retry_now",
    "send_due",
    "subjects_of_continuation",
    "subjects_of_search",
    "tell_encounter",
]
