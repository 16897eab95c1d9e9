package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// options are what an image is made of. The same options and sources give the same image.
type options struct {
	root     string // of Pierhead's repository
	version  string
	revision string
	created  time.Time
}

// architectures that there are images for.
var architectures = []string{"amd64", "arm64"}

// build makes the image: an index with one image for each architecture.
func build(ctx context.Context, opt options) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range architectures {
		img, err := buildOne(ctx, opt, arch)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	return mutate.Annotations(index, opt.labels()).(v1.ImageIndex), nil
}

// buildOne makes the image for one architecture.
func buildOne(ctx context.Context, opt options, arch string) (v1.Image, error) {
	program, err := compile(ctx, opt.root, "./cmd/pierhead", arch, "-X main.version="+opt.version)
	if err != nil {
		return nil, err
	}
	launch, err := compile(ctx, filepath.Join(opt.root, "deploy", "image"), "./launch", arch, "")
	if err != nil {
		return nil, err
	}
	licence, err := os.ReadFile(filepath.Join(opt.root, "LICENSE"))
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	if err := archive(&content, files(program, launch, licence), opt.created); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.Append(img, mutate.Addendum{
		Layer: layer, History: v1.History{CreatedBy: "deploy/image", Created: v1.Time{Time: opt.created}},
	})
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", arch, v1.Time{Time: opt.created}
	config.Config = v1.Config{
		User: user, WorkingDir: "/", Entrypoint: []string{launchPath}, Cmd: []string{"help"}, Env: []string{"PATH=/"},
		Labels: opt.labels(), StopSignal: "SIGTERM",
		ExposedPorts: map[string]struct{}{"80/tcp": {}, "443/tcp": {}, "8443/tcp": {}, "10254/tcp": {}},
	}
	return mutate.ConfigFile(img, config)
}

// labels say what the image is; they are on the images and on the index.
func (o options) labels() map[string]string {
	l := map[string]string{
		"org.opencontainers.image.title":       "Pierhead",
		"org.opencontainers.image.description": "The front door of a Kubernetes cluster as one Go binary",
		"org.opencontainers.image.source":      "https://github.com/pierhead/pierhead",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.version":     o.version,
	}
	if o.revision != "" {
		l["org.opencontainers.image.revision"] = o.revision
	}
	return l
}

// compile makes a static program that does not depend on where its sources are, and
// returns its bytes.
func compile(ctx context.Context, dir, pkg, arch, ldflags string) ([]byte, error) {
	to, err := os.MkdirTemp("", "pierhead-image")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(to)
	path := filepath.Join(to, "program")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= "+ldflags, "-o", path, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build %s for %s: %w\n%s", pkg, arch, err, out)
	}
	return os.ReadFile(path)
}
