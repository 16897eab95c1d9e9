// Package file reads Kubernetes objects from files and folders of YAML and JSON, as
// strictly as Kubernetes does, and tells for every field in which file and line it
// was written. It remembers the last good state of each file.
package file
