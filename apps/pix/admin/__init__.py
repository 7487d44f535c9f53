"""The patient index in the admin.

index      persons, charts, stays and history, to look at
past       who was linked to what on a past day, and the evidence of a link in words
notifying  who is told of changes, and what waits to be told
reviews    doubtful pairs, for a clerk to decide
rules      versions of the matching rules: what each would change, and its adoption
words      what the machine compared, in words
"""

from apps.pix.admin import index, notifying, reviews, rules

__all__ = ["index", "notifying", "reviews", "rules"]
