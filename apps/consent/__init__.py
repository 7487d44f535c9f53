"""Directives, rules, and the gate that asks them."""
