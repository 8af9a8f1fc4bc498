"""3. What to do next: (policy, snapshot, now) gives one action and a reason. Pure."""
