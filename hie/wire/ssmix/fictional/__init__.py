"""Fictional SS-MIX2 storages, correct by the specification and reproducible by a seed.

people.py     persons who do not exist
orders.py     what a hospital orders, finds and gives: drugs, laboratory items, diagnoses, allergies
messages.py   their HL7 v2.5 messages
storage.py    a facility's files with their life cycle
"""
