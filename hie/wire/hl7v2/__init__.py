"""HL7 version 2 in its ER7 form: bytes to values and back (HL7 2.3.1 and 2.5; ITI TF-2: Appendix C)."""
