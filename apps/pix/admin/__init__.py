"""The patient index in the admin.

index      persons, charts, stays and history, to look at; who is told of changes
reviews    doubtful pairs, for a clerk to decide; versions of the matching rules
words      what the machine compared, in words
"""

from apps.pix.admin import index, reviews

__all__ = ["index", "reviews"]
