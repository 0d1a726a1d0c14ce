// Reads requests as the API server and kube-controller-manager do; built by csr-reader.ts. Standard library only.
module kubelet-bootstrap/csr-reader

go 1.26.0
