// Command image makes Pierhead's container image without a Docker engine: from scratch,
// with one layer, for two architectures. The same sources give the same digest. It is a Go
// module of its own so that Pierhead's stays without the libraries for images.
//
//	go run . -o ../../dist/image
//
// writes an OCI image layout, which crane, skopeo, podman and Docker from 25 read, and
// prints the digest. SOURCE_DATE_EPOCH is the time it says to be made at.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

func main() {
	to := flag.String("o", "", "the folder to write to; it must not exist")
	var opt options
	flag.StringVar(&opt.root, "root", "../..", "the root of Pierhead's repository")
	flag.StringVar(&opt.version, "version", "0.1.0-dev", "the version that the program tells")
	flag.StringVar(&opt.revision, "revision", "", "the commit it is made from, for its label")
	flag.Parse()
	if err := run(opt, *to); err != nil {
		fmt.Fprintf(os.Stderr, "image: %v\n", err)
		os.Exit(1)
	}
}

func run(opt options, to string) error {
	if to == "" {
		return fmt.Errorf("-o is missing: the folder to write to")
	}
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%s is there already; remove it, or give another folder to -o", to)
	}
	var err error
	if opt.created, err = sourceDate(os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		return err
	}
	index, err := build(context.Background(), opt)
	if err != nil {
		return err
	}
	if err := write(to, index, opt.version); err != nil {
		return err
	}
	digest, err := index.Digest()
	if err == nil {
		fmt.Println(digest)
	}
	return err
}

// write makes an OCI image layout that holds one image of this name, for all its
// architectures: tools find it without being told which.
func write(to string, index v1.ImageIndex, name string) error {
	dir, err := layout.Write(to, empty.Index)
	if err != nil {
		return err
	}
	return dir.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": name}))
}

// sourceDate reads SOURCE_DATE_EPOCH; without it an image is of 1970, as is usual.
func sourceDate(text string) (time.Time, error) {
	if text == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH %q is not a number of seconds", text)
	}
	return time.Unix(n, 0).UTC(), nil
}
