// Package translate turns Kubernetes objects into a model.Config. It reads no clock,
// no network and no file: the same objects give the same Config and the same
// problems, whatever order they came in.
package translate
