# A machine that fetches the bootstrap token of its own node, and nothing else.
#
# One AppRole role for each node, whose role_id is the name of the node: the policy's template puts that into the path,
# so one policy serves all nodes, and none can read its neighbour's token. Do not share a role between nodes and tell
# them apart by the metadata of the secret_id: each login overwrites that for every token of the role.
#
#   bao auth enable approle
#   ACCESSOR=$(bao auth list -format=json | python3 -c 'import json,sys; print(json.load(sys.stdin)["approle/"]["accessor"])')
#   sed "s/APPROLE_ACCESSOR/$ACCESSOR/" manifests/vault/node.hcl | bao policy write kubelet-bootstrap-node -
#
# and for each node, here worker-17 (a batch token costs Vault no storage; a secret_id can be used for an hour):
#
#   bao write auth/approle/role/worker-17 token_policies=kubelet-bootstrap-node token_no_default_policy=true \
#     token_type=batch token_ttl=5m secret_id_ttl=1h
#   bao write auth/approle/role/worker-17/role-id role_id=worker-17
#   bao write -force -field=secret_id auth/approle/role/worker-17/secret-id    # goes onto the machine, mode 0600

path "secret/data/kubelet-bootstrap/nodes/{{identity.entity.aliases.APPROLE_ACCESSOR.name}}" {
  capabilities = ["read"]
}
