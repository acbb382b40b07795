package ldaptest

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// domainImage returns the path of an archive of a provisioned and seeded domain. It
// makes the archive if there is none; a file lock lets one process do so.
func (s *Samba) domainImage(t testing.TB) string {
	t.Helper()
	tool := findProgram(t, "samba-tool", sambaPackages)
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	cache = filepath.Join(cache, "shorepass")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	version, err := exec.Command(s.program, "--version").Output()
	if err != nil {
		t.Fatalf("samba --version: %v", err)
	}
	name := strings.Join(append(strings.Fields(string(version)), "seed", sambaSeed), "-")
	path := filepath.Join(cache, name+".tar.gz")
	unlock := lockFile(t, path+".lock")
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path
	}
	dir := t.TempDir()
	s.provision(t, tool, dir)
	s.configure(t, dir)
	s.Start(t)
	s.Do(t, s.seed)
	s.process.terminate()
	if err := pack(dir, path); err != nil {
		t.Fatalf("keep the domain: %v", err)
	}
	return path
}

func (s *Samba) provision(t testing.TB, tool, dir string) {
	t.Helper()
	cmd := exec.Command(tool, "domain", "provision",
		"--realm=AD.EXAMPLE.ORG", "--domain=ADEX", "--host-name=DC1", "--host-ip="+strings.TrimPrefix(s.URL, "ldap://"),
		"--server-role=dc", "--dns-backend=NONE", "--adminpass="+sambaAdmin, "--targetdir="+dir, "--use-rfc2307",
		"--option=vfs objects=acl_xattr xattr_tdb") // access control lists in a file: not every file system has them
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("samba-tool domain provision: %v\n%s", err, out)
	}
}

// lockFile waits for an exclusive lock between processes.
func lockFile(t testing.TB, path string) (unlock func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() { f.Close() }
}

// pack archives a folder. The rename at the end is atomic, so that the archive exists
// only when it is complete.
func pack(dir, path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "*.part")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	zip := gzip.NewWriter(f)
	archive := tar.NewWriter(zip)
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return packOne(archive, dir, name, d)
	})
	if err := errors.Join(err, archive.Close(), zip.Close(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func packOne(archive *tar.Writer, dir, name string, d fs.DirEntry) error {
	if !d.Type().IsRegular() && !d.IsDir() {
		return nil // such as sockets
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	header, err := tar.FileInfoHeader(info, "")
	if err != nil {
		return err
	}
	if header.Name, err = filepath.Rel(dir, name); err != nil {
		return err
	}
	if err := archive.WriteHeader(header); err != nil || d.IsDir() {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(archive, f)
	return err
}

// restore unpacks the archive of pack into a folder.
func restore(t testing.TB, path, dir string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatalf("%s: %v; remove it to have it made anew", path, err)
	}
	archive := tar.NewReader(zip)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = restoreOne(archive, header, dir)
		}
		if err != nil {
			t.Fatalf("%s: %v; remove it to have it made anew", path, err)
		}
	}
}

func restoreOne(archive *tar.Reader, header *tar.Header, dir string) error {
	if !filepath.IsLocal(header.Name) {
		return fmt.Errorf("%q leaves the folder", header.Name)
	}
	name := filepath.Join(dir, header.Name)
	mode := header.FileInfo().Mode().Perm() // samba checks some of them
	if header.Typeflag == tar.TypeDir {
		if err := os.MkdirAll(name, 0o700); err != nil {
			return err
		}
		return os.Chmod(name, mode)
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, archive)
	return errors.Join(err, f.Chmod(mode), f.Close())
}
