"""The patient index in the admin.

index      persons, charts, stays and history, to look at; who is told of changes
reviews    doubtful pairs, for a clerk to decide
rules      versions of the matching rules: what each would change, and its adoption
words      what the machine compared, in words
"""

from apps.pix.admin import index, reviews, rules

__all__ = ["index", "reviews", "rules"]
