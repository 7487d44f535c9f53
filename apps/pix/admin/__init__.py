"""The patient index in the admin.

index      persons, charts, stays and history, to look at
notifying  who is told of changes, and what waits to be told
reviews    doubtful pairs, for a clerk to decide
rules      versions of the matching rules: what each would change, and its adoption
words      what the machine compared, in words
"""

from apps.pix.admin import index, notifying, reviews, rules

__all__ = ["index", "notifying", "reviews", "rules"]
