package main

import (
	"path/filepath"
	"slices"
	"testing"

	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
)

// TestPack holds that the archive has everything that is in the folder: also the files
// that templates read.
func TestPack(t *testing.T) {
	path, err := pack("../../chart/pierhead", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(path) != "pierhead-0.1.0.tgz" {
		t.Errorf("the archive is %s", path)
	}
	was, err := loader.Load("../../chart/pierhead")
	if err != nil {
		t.Fatal(err)
	}
	is, err := loader.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := contents(was), contents(is); len(a) < 20 || !slices.Equal(a, b) {
		t.Errorf("the folder has\n%v\nand the archive\n%v", a, b)
	}
}

// contents lists the files of a chart with what is in them.
func contents(c *chart.Chart) []string {
	var all []string
	for _, f := range slices.Concat(c.Templates, c.Files) {
		if f.Name != ".helmignore" {
			all = append(all, f.Name+"\n"+string(f.Data))
		}
	}
	slices.Sort(all)
	return all
}
