package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"github.com/pierhead/pierhead/e2e/cluster"
	"github.com/pierhead/pierhead/e2e/node"
)

// env prints lines for a shell to evaluate.
func env(args []string) error {
	flags, dir := newFlags("env", "")
	flags.Parse(args)
	r, err := read(*dir)
	if err != nil {
		return err
	}
	fmt.Printf("export KUBECONFIG='%s'\nexport PATH='%s':\"$PATH\"\n", r.Kubeconfig, r.Bin)
	return nil
}

// enter replaces this process by a command inside the cluster's network, by default a
// shell.
func enter(args []string) error {
	flags, dir := newFlags("enter", " [command [argument...]]")
	flags.Parse(args)
	if err := needRoot(); err != nil {
		return err
	}
	r, err := read(*dir)
	if err != nil {
		return err
	}
	line := cluster.EnterPid(r.NamespacePid)
	path, err := exec.LookPath(line[0])
	if err != nil {
		return err
	}
	if wd, err := os.Getwd(); err == nil {
		line = append(line, "--wd="+wd)
	}
	command := flags.Args()
	if len(command) == 0 {
		command = []string{"/bin/sh"}
	}
	return syscall.Exec(path, append(append(line, "--"), command...), append(os.Environ(), "KUBECONFIG="+r.Kubeconfig))
}

// images prints the map of images, after the changes that the arguments ask for.
func images(args []string) error {
	flags, dir := newFlags("images", " [NAME=PATH...]")
	flags.Parse(args)
	r, err := read(*dir)
	if err != nil {
		return err
	}
	m := &node.Images{Path: r.Images}
	for _, a := range flags.Args() {
		name, image, err := parseImage(a)
		if err != nil {
			return err
		}
		if err := m.Set(name, image); err != nil {
			return err
		}
	}
	all, err := m.All()
	if err != nil {
		return err
	}
	var lines []string
	for name, image := range all {
		lines = append(lines, fmt.Sprintf("%s=%s%s", name, image.Binary, image.Root))
	}
	slices.Sort(lines)
	fmt.Println(strings.Join(lines, "\n"))
	return nil
}

// parseImage reads NAME=PATH, where the path is that of a program or a folder.
func parseImage(s string) (string, node.Image, error) {
	name, path, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return "", node.Image{}, fmt.Errorf("image %q: must be NAME=PATH", s)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", node.Image{}, err
	}
	if info.IsDir() {
		return name, node.Image{Root: path}, nil
	}
	return name, node.Image{Binary: path}, nil
}
