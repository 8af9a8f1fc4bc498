"""Every call, every fault, every boundary: what goes wrong for real, and whether the promises hold."""
