"""The nouns: what there is, without any idea of where it comes from or what to do about it. Pure."""
