"""SOAP 1.2 with WS-Addressing and MTOM/XOP, as ITI TF-2 Appendix V narrows them."""
