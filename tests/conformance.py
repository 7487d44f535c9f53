"""Where the public conformance data lies, beside the project; tests that read it skip where it is absent."""

from pathlib import Path

import pytest

CONFORMANCE = Path(__file__).resolve().parent.parent.parent / "shared" / "conformance"

needs_conformance = pytest.mark.skipif(
    not CONFORMANCE.is_dir(), reason="the public conformance data is not beside the project (../shared/conformance)"
)
