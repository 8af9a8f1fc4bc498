"""1. What the operator wants: the policy file as frozen values, and the arithmetic of when. Pure.

policy, settings            the values
match, schedule             which keys, and when
fingerprint                 a hash by which a changed policy is known
names, duration, address    what names, lengths of time and addresses may look like
load                        from the bytes of the file to the values; `file` is how
"""
