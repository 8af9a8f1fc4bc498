"""The plain program: the same steps for each key, one after another, as a person would write them with httpx and hvac.

`python -m tests.benchmarks.plain PLACE` reads what to replace from standard input (JSON: where everything is, and the keys), and
prints one JSON line with how long each key took. No intent, no record, no claim, no overlap: nothing survives a crash.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence

import httpx
import hvac

TAGS = ["prod"]
"""A list does not show tags: whoever writes such a program knows them."""


def replace_all(
    vault: hvac.Client,
    http: httpx.Client,
    project_id: str,
    own: Mapping[str, str],
    keys: Sequence[Sequence[str]],
) -> None:
    """Replace each key, given by the path of its entry and its id: create, read back, prove, write, read back, delete."""
    url, kv = f"/v1/projects/{project_id}/keys", vault.secrets.kv.v2
    items = http.get(url, headers=own).raise_for_status().json()["api_keys"]
    listed = {item["api_key"]["api_key_id"]: item["api_key"] for item in items}
    for path, key_id in keys:
        request = {
            "comment": listed[key_id]["comment"],
            "scopes": listed[key_id]["scopes"],
            "tags": TAGS,
            "time_to_live_in_seconds": 7776000,
        }
        new = http.post(url, headers=own, json=request).raise_for_status().json()
        seen = http.get(f"{url}/{new['api_key_id']}", headers=own).raise_for_status().json()["api_key"]
        if (set(seen["scopes"]), set(seen["tags"])) != (set(request["scopes"]), set(TAGS)):
            raise SystemExit("other rights")
        proof = {"Authorization": f"Token {new['key']}"}
        http.get("/v1/auth/token", headers=proof).raise_for_status()
        before = kv.read_secret_version(path, mount_point="secret", raise_on_deleted_version=True)["data"]
        data = {**before["data"], "api_key": new["key"], "api_key_id": new["api_key_id"]}
        kv.create_or_update_secret(path, data, cas=before["metadata"]["version"], mount_point="secret")
        after = kv.read_secret_version(path, mount_point="secret", raise_on_deleted_version=True)["data"]
        if after["data"]["api_key"] != new["key"]:
            raise SystemExit("not what was written")
        http.delete(f"{url}/{key_id}", headers=own).raise_for_status()


def main() -> None:
    """Replace all, and print what it took."""
    given = json.load(sys.stdin)
    vault = hvac.Client(url=given["vault"], token=given["token"])
    own = {"Authorization": f"Token {given['management']}"}
    with httpx.Client(base_url=given["deepgram"], timeout=10, trust_env=False) as http:
        used, began = os.times(), time.perf_counter()
        replace_all(vault, http, given["project_id"], own, given["keys"])
        now = os.times()
    said = {
        "seconds": time.perf_counter() - began,
        "cpu": now.user + now.system - used.user - used.system,
    }
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
