"""The rules of submitted metadata that need no database (ITI TF-3: 4.2.3, 4.2.2; error codes by table 4.2.4.1-2)."""

from __future__ import annotations

from hie.values.documents import Submission
from hie.values.errors import Finding


def validate(submission: Submission, *, provided: bool = False) -> list[Finding]:
    """All that is wrong with a submission beyond ``submission.findings``, which the caller adds.

    provided: the submission came as ITI-41, so that hash, size and repositoryUniqueId are the repository's to fill
    in, and every stable entry needs its document in ``contents``; False: ITI-42, all of them have to be there.
    """
    raise NotImplementedError
