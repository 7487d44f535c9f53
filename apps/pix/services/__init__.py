"""The verbs of the patient index. ``feed`` is the one verb of every dialect that tells of patients."""

from apps.pix.services.feeding import REMEMBERED, feed, forget_old_messages
from apps.pix.services.finding import (
    cancel_search,
    continue_search,
    find_patients,
    subjects_of_continuation,
    subjects_of_search,
)

__all__ = [
    "REMEMBERED",
    "cancel_search",
    "continue_search",
    "feed",
    "find_patients",
    "forget_old_messages",
    "subjects_of_continuation",
    "subjects_of_search",
]
