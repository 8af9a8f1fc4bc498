"""2. What is there: provider, Vault and journal, read into one snapshot. Reads only."""
