package node

import (
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// issued is a token and when it was made.
type issued struct {
	token []byte
	at    time.Time
}

// token returns the content of the token file at path: the token that was made before, or a
// new one when more than half of its life is over.
func (p *pod) token(path string, source *corev1.ServiceAccountTokenProjection) ([]byte, error) {
	life := time.Hour
	if s := source.ExpirationSeconds; s != nil {
		life = time.Duration(*s) * time.Second
	}
	if have, ok := p.tokens[path]; ok && time.Since(have.at) < life/2 {
		return have.token, nil
	}
	o := p.spec()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(life / time.Second)),
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: o.Name, UID: o.UID}}}
	if source.Audience != "" {
		request.Spec.Audiences = []string{source.Audience}
	}
	t, err := p.agent.Client.CoreV1().ServiceAccounts(o.Namespace).CreateToken(p.ctx, o.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	p.tokens[path] = issued{[]byte(t.Status.Token), time.Now()}
	return p.tokens[path].token, nil
}
