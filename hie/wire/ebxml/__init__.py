"""ebXML Registry 3.0 as document sharing speaks it: metadata, submissions, queries, retrieval (ITI TF-3: 4.2)."""
