"""The audit message on the wire: DICOM PS3.15 A.5."""
