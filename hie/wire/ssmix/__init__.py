"""SS-MIX2 storages (HS026, ISO/TS 24289): names, data types, rules and what a file says of a document. No I/O."""
