package kubectl

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// told returns an error in words that say what to do next.
func told(err error) error {
	var unreached *url.Error
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err):
		return forbidden(err)
	case apierrors.IsUnauthorized(err):
		return errors.New("the API server does not know you: your credentials are wrong or have expired; see kubectl auth whoami")
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("there was no answer in time: %w; give it more with --request-timeout", err)
	case errors.As(err, &unreached):
		return fmt.Errorf("the API server cannot be reached: %w; see --kubeconfig and --context", unreached.Err)
	}
	return err
}

// denial is how the API server says that a right is missing.
var denial = regexp.MustCompile(`User "([^"]*)" cannot (\w+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)")?`)

// Denied is a right that is missing.
type Denied struct{ User, Verb, Resource, Group, Namespace string }

// readDenial reads which right is missing.
func readDenial(err error) (d Denied, ok bool) {
	m := denial.FindStringSubmatch(err.Error())
	if m == nil {
		return d, false
	}
	return Denied{User: m[1], Verb: m[2], Resource: m[3], Group: m[4], Namespace: m[5]}, true
}

// forbidden says which right is missing and how to give it.
func forbidden(err error) error {
	d, ok := readDenial(err)
	if !ok {
		return fmt.Errorf("a right is missing: %w; docs/plugin.md tells which ones are needed", err)
	}
	return errors.New(d.String() + "; whoever may can allow it:\n" + d.remedy())
}

// String says which right is missing.
func (d Denied) String() string {
	where := "in the whole cluster"
	if d.Namespace != "" {
		where = fmt.Sprintf("in namespace %q", d.Namespace)
	}
	return fmt.Sprintf("%q may not %s %s %s", d.User, d.Verb, d.Resource, where)
}

// remedy returns the lines that give the right.
func (d Denied) remedy() string {
	resource := d.Resource
	if d.Group != "" {
		name, sub, has := strings.Cut(resource, "/")
		if resource = name + "." + d.Group; has {
			resource += "/" + sub
		}
	}
	kind, in := "clusterrole", ""
	if d.Namespace != "" {
		kind, in = "role", " --namespace="+d.Namespace
	}
	who := "--user=" + quoted(d.User)
	if account, ok := strings.CutPrefix(d.User, "system:serviceaccount:"); ok {
		who = "--serviceaccount=" + account
	}
	name := "pierhead-kubectl-" + strings.ReplaceAll(d.Verb+"-"+d.Resource, "/", "-")
	return fmt.Sprintf("  kubectl create %s %s --verb=%s --resource=%s%s\n  kubectl create %sbinding %s --%s=%s %s%s",
		kind, name, d.Verb, resource, in, kind, name, kind, name, who, in)
}

// quoted quotes a word for a shell where that is needed.
func quoted(word string) string {
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@:._/-") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
