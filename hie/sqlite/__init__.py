"""SQLite as Django has it, with writers of one process that wait for each other in a queue (decision 0047)."""
