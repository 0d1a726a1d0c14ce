# The kubelet-bootstrap service: keeps tokens below secret/kubelet-bootstrap/ and reads the CA key pair it signs with.
#
#   bao policy write kubelet-bootstrap manifests/vault/service.hcl
#   bao auth enable approle
#   bao write auth/approle/role/kubelet-bootstrap token_policies=kubelet-bootstrap token_ttl=1h token_max_ttl=24h
#   bao read  -field=role_id auth/approle/role/kubelet-bootstrap/role-id    > role-id
#   bao write -force -field=secret_id auth/approle/role/kubelet-bootstrap/secret-id > secret-id
#
# (`vault` takes the same arguments.) With Kubernetes auth instead, name the service account and the audience:
#
#   bao write auth/kubernetes/role/kubelet-bootstrap token_policies=kubelet-bootstrap token_ttl=1h audience=vault \
#     bound_service_account_names=kubelet-bootstrap bound_service_account_namespaces=kube-system
#
# `secret` and `kubelet-bootstrap` are the defaults of the config's mount and prefix. Whoever has this policy can read
# every token that is waiting for its node, and the CA key: give it to nobody else.

# Publish a token. Reading it back settles a write whose answer was lost.
path "secret/data/kubelet-bootstrap/*" {
  capabilities = ["create", "update", "read"]
}

# Token ID and lifetime of an entry, the list of entries, and their removal.
path "secret/metadata/kubelet-bootstrap/*" {
  capabilities = ["create", "update", "read", "list", "delete"]
}

# Withdraw a revoked or used token.
path "secret/destroy/kubelet-bootstrap/*" {
  capabilities = ["create", "update"]
}

# The CA key pair, fields `cert` and `key`. Leave this out when the service signs with another backend.
path "secret/data/kubernetes/ca" {
  capabilities = ["read"]
}

# Its own token; also part of the `default` policy.
path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/lookup-self" {
  capabilities = ["read"]
}
