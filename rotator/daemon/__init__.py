"""5. When, how often, how many: everything that is about more than one lineage at a time."""
