# A machine of one pool that fetches the pool's current bootstrap token, and nothing else. Replace POOL by its name.
#
#   sed 's/POOL/workers/' manifests/vault/pool.hcl | bao policy write kubelet-bootstrap-pool-workers -
#   bao write auth/approle/role/pool-workers token_policies=kubelet-bootstrap-pool-workers token_no_default_policy=true \
#     token_type=batch token_ttl=5m
#
# All machines of the pool share this credential, and with it the pool's token: give nodes that matter a token of their
# own (node.hcl).

path "secret/data/kubelet-bootstrap/pools/POOL" {
  capabilities = ["read"]
}
