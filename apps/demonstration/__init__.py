"""A living demonstration region: three facilities, about sixty persons who do not exist, on the embedded default."""
