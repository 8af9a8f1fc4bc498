"""1. What the operator wants: the policy file as frozen values, and the arithmetic of when. Pure."""
