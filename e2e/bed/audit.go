package bed

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// The API server notes what ServiceAccounts ask for, but for those of Kubernetes itself.

// Asked is one request of a ServiceAccount, as the audit log has it. Of a watch the
// beginning is noted.
type Asked struct {
	Account string // namespace:name
	Verb    string
	Group   string
	// Resource is followed by a slash and the subresource where there is one.
	Resource, Namespace, Name string
	Refused                   bool // by authorization
}

func (a Asked) String() string {
	return fmt.Sprintf("%s %s/%s %s/%s", a.Verb, a.Group, a.Resource, a.Namespace, a.Name)
}

// audit makes the API server write a log to a folder.
func audit(dir string) ([]string, error) {
	const policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n" +
		"- {level: None, userGroups: ['system:serviceaccounts:kube-system']}\n- {level: Metadata, userGroups: ['system:serviceaccounts']}\n- {level: None}\n"
	path := filepath.Join(dir, "policy.yaml")
	return []string{"--audit-policy-file", path, "--audit-log-path", filepath.Join(dir, logName)}, os.WriteFile(path, []byte(policy), 0o644)
}

const (
	logName  = "audit.log"
	longLine = 1 << 20
)

// Asked lists what ServiceAccounts have asked for so far.
func (b *Bed) Asked() ([]Asked, error) {
	f, err := os.Open(filepath.Join(b.audits, logName))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []Asked
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, longLine)
	for lines.Scan() {
		var e struct {
			Verb      string
			User      struct{ Username string }
			ObjectRef *struct{ APIGroup, Resource, Subresource, Namespace, Name string }
			// Annotations say how authorization decided.
			Annotations map[string]string
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		o := e.ObjectRef
		if o == nil {
			continue
		}
		if o.Subresource != "" {
			o.Resource += "/" + o.Subresource
		}
		const prefix = "system:serviceaccount:"
		all = append(all, Asked{
			Account: e.User.Username[min(len(prefix), len(e.User.Username)):], Verb: e.Verb, Group: o.APIGroup, Resource: o.Resource, Namespace: o.Namespace, Name: o.Name,
			Refused: e.Annotations["authorization.k8s.io/decision"] == "forbid",
		})
	}
	return all, lines.Err()
}
