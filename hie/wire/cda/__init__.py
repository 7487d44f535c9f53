"""HL7 Clinical Document Architecture, Release 2: summaries written as documents. No I/O."""
