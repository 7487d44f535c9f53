"""Facilities, nodes and their certificates, communities, assigning authorities, authentication."""
