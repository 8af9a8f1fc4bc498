"""Exhaustive exploration of one lineage: the real code, two processes, and a world that goes wrong."""
