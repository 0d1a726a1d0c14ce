// Approves serving CSRs of kubelets as the operators do that people run for it: client-go's informer and queue, one
// worker unless told (the default of controller-runtime), the checks that need no other server, and the whole object written back.
// What kube-controller-manager leaves to others, for the bench. Runs until it is ended.
package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"log"
	"net/netip"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	certificates "k8s.io/api/certificates/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/certificates/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
)

const longestSeconds = 367 * 24 * 3600

var prefixes = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

type approver struct {
	client kubernetes.Interface
	csrs   listers.CertificateSigningRequestLister
	names  *regexp.Regexp
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	names := flag.String("names", ".*", "names that nodes may have")
	workers := flag.Int("workers", 1, "how many CSRs are worked on at the same time")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	config.QPS = -1 // no limit of the client's own
	client := kubernetes.NewForConfigOrDie(config)
	factory := informers.NewSharedInformerFactory(client, 0)
	informer := factory.Certificates().V1().CertificateSigningRequests()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())
	add := func(object any) {
		if key, err := cache.MetaNamespaceKeyFunc(object); err == nil {
			queue.Add(key)
		}
	}
	if _, err := informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    add,
		UpdateFunc: func(_, object any) { add(object) },
	}); err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	each := &approver{client: client, csrs: informer.Lister(), names: regexp.MustCompile(*names)}
	work := func() {
		for {
			name, _ := queue.Get()
			if err := each.reconcile(ctx, name); err != nil {
				log.Printf("%s: %v", name, err)
				queue.AddRateLimited(name)
			} else {
				queue.Forget(name)
			}
			queue.Done(name)
		}
	}
	for range *workers {
		go work()
	}
	<-ctx.Done()
}

func (a *approver) reconcile(ctx context.Context, name string) error {
	held, err := a.csrs.Get(name)
	if err != nil || held.Spec.SignerName != certificates.KubeletServingSignerName {
		return nil
	}
	if len(held.Status.Conditions) > 0 || len(held.Status.Certificate) > 0 {
		return nil
	}
	csr := held.DeepCopy()
	decision := certificates.CertificateSigningRequestCondition{
		Type: certificates.CertificateApproved, Status: core.ConditionTrue, Reason: "Approved",
		Message: "all checks passed", LastUpdateTime: meta.NewTime(time.Now()),
	}
	if err := a.check(csr); err != nil {
		decision.Type, decision.Reason, decision.Message = certificates.CertificateDenied, "Denied", err.Error()
	}
	csr.Status.Conditions = append(csr.Status.Conditions, decision)
	_, err = a.client.CertificatesV1().CertificateSigningRequests().UpdateApproval(ctx, name, csr, meta.UpdateOptions{})
	if err == nil {
		log.Printf("%s: %s", name, decision.Type)
	}
	return err
}

func (a *approver) check(csr *certificates.CertificateSigningRequest) error {
	block, _ := pem.Decode(csr.Spec.Request)
	if block == nil {
		return errors.New("no PEM")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return err
	}
	node, isNode := strings.CutPrefix(csr.Spec.Username, "system:node:")
	switch {
	case !isNode:
		return errors.New("not a node")
	case request.Subject.CommonName != csr.Spec.Username:
		return errors.New("the common name is another's")
	case len(request.DNSNames)+len(request.IPAddresses) == 0:
		return errors.New("no subjectAltName")
	case len(request.DNSNames) > 1 || !a.names.MatchString(node):
		return errors.New("a name that is not allowed")
	case csr.Spec.ExpirationSeconds != nil && *csr.Spec.ExpirationSeconds > longestSeconds:
		return errors.New("too long a time")
	}
	for _, name := range request.DNSNames {
		if !strings.HasPrefix(name, node) {
			return errors.New("the DNS name of another")
		}
	}
	for _, ip := range request.IPAddresses {
		if address, _ := netip.AddrFromSlice(ip); !contains(address.Unmap()) {
			return errors.New("an address that is not allowed")
		}
	}
	return nil
}

func contains(address netip.Addr) bool {
	for _, prefix := range prefixes {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}
