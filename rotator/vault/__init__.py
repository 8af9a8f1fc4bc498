"""Where secrets and records live: HashiCorp Vault, KV version 2. The only room that knows hvac and requests.

`client` asks and translates every answer; `destinations` and `journal` are the two ports built on it.
"""
