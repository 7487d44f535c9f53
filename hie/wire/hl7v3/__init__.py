"""HL7 v3 messages of the patient index: PIXv3 and PDQv3 (NE2008; ITI TF-2: 3.44 to 3.47, Appendix O)."""
