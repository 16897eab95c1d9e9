// Package helm is a module that has Helm, by which e2e/upgrade installs charts, and the
// chart of ingress-nginx.
package helm

import _ "k8s.io/ingress-nginx/pkg/util/sets" // the module that has the chart: nothing of it is used but that
