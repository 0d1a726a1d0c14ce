# An admin who issues, lists and revokes tokens of single nodes with `bootstrap-token`. Pools are kept by the service,
# and the CA key pair is out of reach.
#
#   bao policy write bootstrap-token-admin manifests/vault/admin.hcl
#   bao token create -policy=bootstrap-token-admin -ttl=8h        # or give the policy to a group of your login method
#
# Tokens that are published can be read with it: that is how a write whose answer was lost is settled, and anyone who
# may issue a token for a node could have a token for it anyway.

path "secret/data/kubelet-bootstrap/nodes/*" {
  capabilities = ["create", "update", "read"]
}

path "secret/metadata/kubelet-bootstrap/nodes/*" {
  capabilities = ["create", "update", "read", "list", "delete"]
}

path "secret/destroy/kubelet-bootstrap/nodes/*" {
  capabilities = ["create", "update"]
}

# To see which pools have a token, by its ID.
path "secret/metadata/kubelet-bootstrap/pools/*" {
  capabilities = ["read", "list"]
}

path "auth/token/lookup-self" {
  capabilities = ["read"]
}
