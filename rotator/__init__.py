"""Rotate API keys before they expire: create a replacement, put its secret into Vault, delete the old key.

The flow, in order:

1. `policy`     what the operator wants
2. `inventory`  what is there
3. `plan`       what to do next
4. `rotation`   doing it, step by step

`reconcile` is the page to read first: it ties the four together for one lineage.
"""

__version__ = "0.1.0"
