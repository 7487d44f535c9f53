"""How well matching does: known data sets and generated populations, one record at a time. ``python -m accuracy``."""
