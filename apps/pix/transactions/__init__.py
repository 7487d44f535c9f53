"""The transactions of this app, one module each."""
