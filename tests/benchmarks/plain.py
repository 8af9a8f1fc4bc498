"""The plain program: the same steps for each key, one after another, as a script would do them."""

from __future__ import annotations

import httpx
import hvac

from rotator.simulator.vault_server import VaultServer


def rotate_all(server: VaultServer, deepgram: str, project_id: str, management: str, comment: str) -> int:
    """Replace every key of the project whose comment begins so: create, prove, write, read back, delete.

    Return how many were replaced. No intent, no record, no overlap: nothing survives a crash.
    """
    vault = hvac.Client(url=server.address, token=server.root_token.reveal())
    keys = f"/v1/projects/{project_id}/keys"
    own = {"Authorization": f"Token {management}"}
    done = 0
    with httpx.Client(base_url=deepgram, timeout=10, trust_env=False) as http:
        for item in http.get(keys, headers=own).json()["api_keys"]:
            old = item["api_key"]
            if not old["comment"].startswith(comment):
                continue
            request = {"comment": old["comment"], "scopes": old["scopes"], "time_to_live_in_seconds": 7776000}
            new = http.post(keys, headers=own, json=request).json()
            http.get(f"{keys}/{new['api_key_id']}", headers=own).raise_for_status()
            proof = {"Authorization": f"Token {new['key']}"}
            http.get("/v1/auth/token", headers=proof).raise_for_status()
            place = f"plain/{old['api_key_id']}"
            vault.secrets.kv.v2.create_or_update_secret(place, {"api_key": new["key"]}, mount_point="secret")
            read = vault.secrets.kv.v2.read_secret_version(
                place, mount_point="secret", raise_on_deleted_version=True
            )
            assert read["data"]["data"]["api_key"] == new["key"]
            http.delete(f"{keys}/{old['api_key_id']}", headers=own).raise_for_status()
            done += 1
    return done
