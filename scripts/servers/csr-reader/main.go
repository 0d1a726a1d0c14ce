// One request, base64, on a line of standard input; what Go makes of it, JSON, on a line of standard output.
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
)

type reading struct {
	Error       string      `json:"error"`
	Subject     [][2]string `json:"subject"` // identifier and value, in order
	DNSNames    []string    `json:"dnsNames"`
	IPAddresses []string    `json:"ipAddresses"` // hex
	Others      int         `json:"others"`      // e-mail addresses and URIs
	Extensions  []string    `json:"extensions"`
	PublicKey   string      `json:"publicKey"` // SubjectPublicKeyInfo, hex
}

// As ParseCSR of k8s.io/kubernetes/pkg/apis/certificates, and then the signature.
func parse(request []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(request)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("PEM block type must be CERTIFICATE REQUEST")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	return csr, csr.CheckSignature()
}

func read(line string) reading {
	request, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		return reading{Error: err.Error()}
	}
	csr, err := parse(request)
	if err != nil {
		return reading{Error: err.Error()}
	}
	found := reading{
		DNSNames:  csr.DNSNames,
		Others:    len(csr.EmailAddresses) + len(csr.URIs),
		PublicKey: hex.EncodeToString(csr.RawSubjectPublicKeyInfo),
	}
	for _, name := range csr.Subject.Names {
		value, _ := name.Value.(string)
		found.Subject = append(found.Subject, [2]string{name.Type.String(), value})
	}
	for _, ip := range csr.IPAddresses {
		found.IPAddresses = append(found.IPAddresses, hex.EncodeToString(ip))
	}
	for _, extension := range csr.Extensions {
		found.Extensions = append(found.Extensions, extension.Id.String())
	}
	return found
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if answers.Encode(read(lines.Text())) != nil {
			os.Exit(1)
		}
	}
	if lines.Err() != nil {
		os.Exit(1)
	}
}
