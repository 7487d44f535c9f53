"""The verbs of the patient index. ``feed`` is the one verb of every dialect that tells of patients."""

from apps.pix.services.feeding import REMEMBERED, feed, forget_old_messages

__all__ = ["REMEMBERED", "feed", "forget_old_messages"]
