package control

import (
	"maps"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/admission"
	"github.com/pierhead/pierhead/internal/model"
)

const certificateLabels = "namespace class host secret_name identifier"

// ingress-nginx's metrics of the controller.
var (
	mBuild      = newNginx("build_info", "gauge", controllerLabels+" repository build release", "1; release is Pierhead's version, build the commit.")
	mHash       = newNginx("config_hash", "gauge", controllerLabels, "A number that is the same in every Pod that serves the same. Endpoints and the content of Secrets other than certificates do not count.")
	mSuccessful = newNginx("config_last_reload_successful", "gauge", controllerLabels, "Whether the last change was applied whole; 0 while a port cannot be opened.")
	mReloaded   = newNginx("config_last_reload_successful_timestamp_seconds", "gauge", controllerLabels, "When a change was last applied whole.")
	mSuccess    = newNginx("success", "counter", controllerLabels, "Changes that were applied whole. Changes of endpoints alone are none.")
	mFailures   = newNginx("errors", "counter", controllerLabels, "Changes, and tries, that were not.")
	mAccepted1  = newNginx("check_success", "counter", controllerLabels+" namespace ingress", "Ingresses that the admission webhook let in.")
	mRefused    = newNginx("check_errors", "counter", controllerLabels+" namespace ingress", "Ingresses that the admission webhook refused.")
	mExpire     = newNginx("ssl_expire_time_seconds", "gauge", certificateLabels, "When the certificate of a host ends. The host \"_\" stands for the default certificate. Only the leader tells.")
	mCertInfo   = newNginx("ssl_certificate_info", "gauge", certificateLabels+" issuer_organization issuer_common_name serial_number public_key_algorithm", "1 for the certificate of a host. Only the leader tells.")
	mLeads      = newNginx("leader_election_status", "gauge", controllerLabels+" name", "Whether this Pod leads; name is the Lease.")
	mOrphan     = newNginx("orphan_ingress", "gauge", controllerLabels+" namespace ingress type", "1 for an Ingress with a backend whose Service is not there (no-service), or has no endpoints (no-endpoint).")

	mTested      = newNginx("admission_tested_ingresses", "gauge", controllerLabels, "Ingresses that the webhook looked at for the last one in question.")
	mTestedTime  = newNginx("admission_tested_duration", "gauge", controllerLabels, "Seconds that it took.")
	mRendered    = newNginx("admission_render_ingresses", "gauge", controllerLabels, "0: nothing is rendered.")
	mRenderTime  = newNginx("admission_render_duration", "gauge", controllerLabels, "0: nothing is rendered.")
	mConfigSize  = newNginx("admission_config_size", "gauge", controllerLabels, "0: nothing is rendered.")
	mRoundtrip   = newNginx("admission_roundtrip_duration", "gauge", controllerLabels, "Seconds from the question to the answer.")
	ofAdmissions = []*metric{mTested, mTestedTime, mRendered, mRenderTime, mConfigSize, mRoundtrip}
)

// repository is where the program comes from.
const repository = "https://github.com/pierhead/pierhead"

// collectController collects of the configuration, of certificates, and of what only an
// ingress controller in a cluster has: the leader and the webhook.
func (k *collector) collectController(send sender, stands *standing) {
	if stands.plan == nil {
		return
	}
	opt := &k.c.opt.Metrics
	for i := range stands.plan.Config.Controllers {
		c := &stands.plan.Config.Controllers[i]
		if opt.Leads == nil || opt.Leads() {
			collectCertificates(send, stands, c)
		}
		if opt.Pod == "" {
			continue
		}
		who := opt.identity(c)
		send(mBuild, 1, who.labels(repository, opt.Revision, k.c.opt.Version)...)
		send(mHash, k.hash.of(stands.plan.Config, c), who.labels()...)
		send(mSuccessful, truth(len(stands.found.listen) == 0), who.labels()...)
		if !stands.whole.IsZero() {
			send(mReloaded, float64(stands.whole.UnixMilli())/1000, who.labels()...)
		}
		send(mSuccess, float64(stands.generation-stands.failures), who.labels()...)
		send(mFailures, float64(stands.failures), who.labels()...)
		if opt.Lease != "" {
			send(mLeads, truth(opt.Leads == nil || opt.Leads()), who.labels(opt.Lease)...)
		}
		collectOrphans(send, stands, c, who)
		collectWebhook(send, opt.Webhook, who)
	}
}

// collectWebhook collects what the webhook counted. Without one, nothing has been tested.
func collectWebhook(send sender, webhook func() []admission.Sample, who identity) {
	var samples []admission.Sample
	if webhook != nil {
		samples = webhook()
	}
	gauges := map[string]float64{}
	for _, s := range samples {
		switch nginxPrefix + s.Name {
		case mAccepted1.name:
			send(mAccepted1, s.Value, who.labels(s.Namespace, s.Ingress)...)
		case mRefused.name:
			send(mRefused, s.Value, who.labels(s.Namespace, s.Ingress)...)
		default:
			gauges[nginxPrefix+s.Name] = s.Value
		}
	}
	for _, m := range ofAdmissions {
		send(m, gauges[m.name], who.labels()...)
	}
}

// collectCertificates collects the certificates of hosts. The one that is made at the
// start is nobody's to renew and not told.
func collectCertificates(send sender, stands *standing, c *model.Controller) {
	secrets := map[string]*model.Certificate{}
	for i := range stands.plan.Config.Certificates {
		cert := &stands.plan.Config.Certificates[i]
		secrets[cert.Name] = cert
	}
	tell := func(host, name string) {
		pair, secret := stands.pairs.Get(name), secrets[name]
		if pair == nil || pair.Leaf == nil || secret == nil {
			return
		}
		leaf := pair.Leaf
		ns, secretName, _ := strings.Cut(name, "/")
		labels := []string{ns, c.Class, host, secretName, leaf.Issuer.SerialNumber + "-" + leaf.SerialNumber.String()}
		send(mExpire, float64(leaf.NotAfter.Unix()), labels...)
		organization := ""
		if len(leaf.Issuer.Organization) > 0 {
			organization = leaf.Issuer.Organization[0]
		}
		send(mCertInfo, 1, append(labels, utf8Path(organization), utf8Path(leaf.Issuer.CommonName), leaf.SerialNumber.String(), leaf.PublicKeyAlgorithm.String())...)
	}
	for _, h := range c.Hosts {
		switch {
		case h.Name == "":
		case stands.pairs.Get(h.Certificate) != nil:
			tell(h.Name, h.Certificate)
		case h.TLS:
			tell(h.Name, c.Settings.DefaultCertificate)
		}
	}
	tell("_", c.Settings.DefaultCertificate)
}

// collectOrphans collects the Ingresses with backends that lead nowhere.
func collectOrphans(send sender, stands *standing, c *model.Controller, who identity) {
	table := stands.tables[c.Name]
	if table == nil {
		return
	}
	missing := map[string]bool{} // upstreams whose Service is not there
	for i := range stands.plan.Config.Upstreams {
		u := &stands.plan.Config.Upstreams[i]
		missing[u.Name] = u.Origin.Kind != "Service"
	}
	orphans := map[[3]string]bool{}
	for r := range table.Routes() {
		switch {
		case r.Ingress == "" || r.Upstream == "" || r.Pool == nil:
		case missing[r.Upstream]:
			orphans[[3]string{r.Namespace, r.Ingress, "no-service"}] = true
		case r.Pool.Empty():
			orphans[[3]string{r.Namespace, r.Ingress, "no-endpoint"}] = true
		}
	}
	for _, o := range slices.SortedFunc(maps.Keys(orphans), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }) {
		send(mOrphan, 1, who.labels(o[:]...)...)
	}
}
