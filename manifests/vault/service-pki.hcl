# What the kubelet-bootstrap service needs besides service.hcl, and instead of the CA key pair there, when it signs with
# the PKI engine (`signer.ca.pki`): to sign by one issuer with four roles, and nothing else. Without these parameters a
# role could be made to put the common name among the DNS names.
#
#   cat manifests/vault/service.hcl manifests/vault/service-pki.hcl | bao policy write kubelet-bootstrap -
#
# `pki` and `kubelets` stand for the config's mount and issuer. `kubelet-bootstrap vault setup` writes it for those.

path "pki/issuer/kubelets/sign/kubelet-client" {
  capabilities = ["update"]
  allowed_parameters = {
    "csr" = []
    "ttl" = []
    "exclude_cn_from_sans" = ["true", true]
  }
  required_parameters = ["exclude_cn_from_sans"]
}

path "pki/issuer/kubelets/sign/kubelet-client-encipherment" {
  capabilities = ["update"]
  allowed_parameters = {
    "csr" = []
    "ttl" = []
    "exclude_cn_from_sans" = ["true", true]
  }
  required_parameters = ["exclude_cn_from_sans"]
}

path "pki/issuer/kubelets/sign/kubelet-serving" {
  capabilities = ["update"]
  allowed_parameters = {
    "csr" = []
    "ttl" = []
    "exclude_cn_from_sans" = ["true", true]
  }
  required_parameters = ["exclude_cn_from_sans"]
}

path "pki/issuer/kubelets/sign/kubelet-serving-encipherment" {
  capabilities = ["update"]
  allowed_parameters = {
    "csr" = []
    "ttl" = []
    "exclude_cn_from_sans" = ["true", true]
  }
  required_parameters = ["exclude_cn_from_sans"]
}
