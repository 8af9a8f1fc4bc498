"""Mutants of the rooms that decide and act: small wrong changes, each of which a test has to notice."""
