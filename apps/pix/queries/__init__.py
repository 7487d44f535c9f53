"""What is asked of the patient index. Every question reads; the verbs that change anything are in ``services``.

cross_references   who is who: from an identifier to the person and back (ITI-9, 45, 83)
conditions         what is asked of a chart, as SQL
people             who are the people of whom this is true? (ITI-21, 22, 47)
reviewing          how the queue of doubtful pairs is doing
spelling           one spelling for what is the same to a person who types
"""

from apps.pix.queries.cross_references import (
    cross_references,
    identifiers_of,
    identifiers_on,
    linked_with,
    numbers_under,
    overview,
    person_on,
    regional_id_of,
    regional_ids_of,
    subject_of,
    subject_of_query,
    subjects_of,
    surviving_of,
    with_person,
)
from apps.pix.queries.reviewing import ReviewFigures, coverage_figures, review_figures

__all__ = [
    "ReviewFigures",
    "coverage_figures",
    "cross_references",
    "identifiers_of",
    "identifiers_on",
    "linked_with",
    "numbers_under",
    "overview",
    "person_on",
    "regional_id_of",
    "regional_ids_of",
    "review_figures",
    "subject_of",
    "subject_of_query",
    "subjects_of",
    "surviving_of",
    "with_person",
]
