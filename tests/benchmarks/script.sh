#!/bin/sh
# The same steps as a shell script: curl and jq for the provider, Vault's own command line for Vault.
#
# Standard input: the path of an entry and the id of its key, one pair a line. Environment: DEEPGRAM, PROJECT, HEADERS (a
# file with the Authorization header of the management key), BAO (the command line), BAO_ADDR, BAO_TOKEN. No secret is in
# an argument, where anybody on the machine could read it.
set -eu

keys=$DEEPGRAM/v1/projects/$PROJECT/keys

provider() { curl --silent --show-error --fail --header "@$HEADERS" "$@"; }

listed=$(provider "$keys")

while read -r path key_id; do
  # create
  request=$(printf '%s' "$listed" | jq --arg id "$key_id" '
    .api_keys[].api_key | select(.api_key_id == $id)
    | {comment, scopes, tags: ["prod"], time_to_live_in_seconds: 7776000}')
  new=$(printf '%s' "$request" | provider --json @- "$keys")
  new_id=$(printf '%s' "$new" | jq -r .api_key_id)

  # read back: the same rights
  provider "$keys/$new_id" | jq --exit-status --argjson asked "$request" '
    .api_key | (.scopes | sort) == ($asked.scopes | sort) and (.tags | sort) == ($asked.tags | sort)' >/dev/null

  # prove
  printf '%s' "$new" | jq -r '"header = \"Authorization: Token \(.key)\""' |
    curl --silent --show-error --fail --config - "$DEEPGRAM/v1/auth/token" >/dev/null

  # write at the version that was read, keeping other fields, and read back
  before=$("$BAO" kv get -mount=secret -format=json "$path")
  version=$(printf '%s' "$before" | jq .data.metadata.version)
  printf '%s\n%s' "$before" "$new" | jq -s '.[0].data.data + {api_key: .[1].key, api_key_id: .[1].api_key_id}' |
    "$BAO" kv put -mount=secret -cas="$version" "$path" - >/dev/null
  after=$("$BAO" kv get -mount=secret -format=json "$path")
  printf '%s\n%s' "$after" "$new" | jq -s --exit-status '.[0].data.data.api_key == .[1].key' >/dev/null

  # delete the old one
  provider --request DELETE "$keys/$key_id" >/dev/null
done
