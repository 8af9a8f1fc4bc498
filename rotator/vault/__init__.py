"""Where secrets and records live: HashiCorp Vault, KV version 2. The only room that knows hvac and requests.

`client` asks and translates every answer; `destinations` and `journal` are the two ports built on it. Below it,
`line` carries each call to the node that serves it, `login` logs in, and `session` keeps our token good.
"""
