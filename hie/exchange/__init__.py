"""How a message is answered: declared transactions, and the one road that every message takes."""
