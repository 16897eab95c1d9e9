package main

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// file is one entry of the image's only layer.
type file struct {
	path       string
	mode       int64
	body       []byte
	link       string // a symbolic link to this
	dir        bool
	capability bool // may have NET_BIND_SERVICE
}

// user runs the program; the names are for people who look.
const (
	user   = "65532:65532"
	passwd = "root:x:0:0:root:/:/none\nwww-data:x:101:82:as in ingress-nginx:/:/none\npierhead:x:65532:65532:Pierhead:/:/none\n"
	group  = "root:x:0:\nwww-data:x:82:\npierhead:x:65532:\n"
)

// Where the programs are.
const (
	launchPath = "/pierhead"
	namePath   = "/nginx-ingress-controller" // what ingress-nginx's manifests call it
	waitPath   = "/wait-shutdown"            // what they run before the end
	programRel = "/usr/libexec/pierhead"
)

// files lists what is in the image: the program, the ways to call it, and what it reads.
func files(program, launch, licence []byte) []file {
	fs := []file{
		{path: launchPath, mode: 0o755, body: launch, capability: true},
		{path: namePath, link: launchPath},
		{path: waitPath, link: launchPath},
		{path: programRel, mode: 0o755, body: program},
		{path: "/etc/passwd", mode: 0o644, body: []byte(passwd)},
		{path: "/etc/group", mode: 0o644, body: []byte(group)},
		{path: "/etc/ssl/certs/ca-certificates.crt", mode: 0o644, body: authorities()},
		{path: "/usr/share/licenses/pierhead/LICENSE", mode: 0o644, body: licence},
		{path: "/tmp", mode: 0o1777, dir: true},
	}
	for _, dir := range []string{"/etc", "/etc/ssl", "/etc/ssl/certs", "/usr", "/usr/libexec", "/usr/share", "/usr/share/licenses", "/usr/share/licenses/pierhead"} {
		fs = append(fs, file{path: dir, mode: 0o755, dir: true})
	}
	slices.SortFunc(fs, func(a, b file) int { return bytes.Compare([]byte(a.path), []byte(b.path)) })
	return fs
}

// authorities are the root certificates that Mozilla trusts, in PEM; those left out that
// it trusts in part only, which a file cannot say.
func authorities() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a Buffer takes all
		}
	}
	return out.Bytes()
}

// mayBind is the value of a file's attribute security.capability: NET_BIND_SERVICE is
// permitted, and not in effect by itself (struct vfs_cap_data of linux/capability.h).
func mayBind() string {
	const revision2, netBindService = 0x02000000, 10
	raw := make([]byte, 20)
	binary.LittleEndian.PutUint32(raw, revision2)
	binary.LittleEndian.PutUint32(raw[4:], 1<<netBindService)
	return string(raw)
}

// archive writes files as a tar archive that depends on nothing else.
func archive(w io.Writer, fs []file, at time.Time) error {
	tw := tar.NewWriter(w)
	for _, f := range fs {
		h := &tar.Header{Name: f.path[1:], Mode: f.mode, ModTime: at, Format: tar.FormatPAX, Typeflag: tar.TypeReg, Size: int64(len(f.body))}
		switch {
		case f.dir:
			h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		case f.link != "":
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.link, 0o777
		}
		if f.capability {
			h.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": mayBind()}
		}
		if err := tw.WriteHeader(h); err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		if _, err := tw.Write(f.body); err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
	}
	return tw.Close()
}
