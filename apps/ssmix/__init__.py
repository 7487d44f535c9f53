"""SS-MIX2 storages: walk, validate, index, serve in place."""
