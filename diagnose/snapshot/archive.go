package snapshot

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/tools/txtar"
)

const (
	// maxArchive bounds an archive, packed and unpacked, in bytes: it is held in memory.
	maxArchive = 256 << 20
	// maxArchiveFiles bounds how many files it may hold.
	maxArchiveFiles = 20_000
)

// Pack makes the files of a snapshot into one .tar.gz, which Open reads. Equal files give equal archives.
func Pack(files map[string][]byte, at time.Time) ([]byte, error) {
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	out := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		head := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(files[name])), Mode: 0o600, ModTime: at.UTC().Truncate(time.Second)}
		err := out.WriteHeader(head)
		if err == nil {
			_, err = out.Write(files[name])
		}
		if err != nil {
			return nil, fmt.Errorf("packing %s: %w", name, err)
		}
	}
	if err := errors.Join(out.Close(), zipped.Close()); err != nil {
		return nil, fmt.Errorf("packing a snapshot: %w", err)
	}
	return b.Bytes(), nil
}

// openArchive opens a file that should be a .tar.gz.
func openArchive(name string, info fs.FileInfo) (fs.FS, error) {
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is neither a directory nor a regular file")
	}
	if info.Size() > maxArchive {
		return nil, fmt.Errorf("it has %d bytes, and an archive may have %d; unpack it and name the directory", info.Size(), maxArchive)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	magic := make([]byte, 2)
	if _, err := io.ReadFull(f, magic); err != nil || magic[0] != 0x1f || magic[1] != 0x8b {
		return nil, errors.New("it is a file, and no .tar.gz; name the directory that holds it, or a .tar.gz of that")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return ReadArchive(f)
}

// ReadArchive unpacks a .tar.gz into memory, for FromFS. What is no plain file in a folder below the archive's own is refused, and so is
// what grows too large. Files that all stand in one folder are read as if they stood at the top, since many pack the folder itself.
func ReadArchive(r io.Reader) (fs.FS, error) {
	zipped, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	in := tar.NewReader(io.LimitReader(zipped, 2*maxArchive)) // what is skipped costs time, too
	var all []txtar.File
	seen, folders := map[string]bool{}, map[string]bool{}
	left := int64(maxArchive)
	for entries := 0; ; entries++ {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("unpacking: %w", err)
		}
		name := path.Clean(head.Name)
		switch {
		case entries >= maxArchiveFiles:
			return nil, fmt.Errorf("unpacking: it holds more than %d files", maxArchiveFiles)
		case head.Typeflag == tar.TypeDir || head.Typeflag == tar.TypeXGlobalHeader:
			continue
		case head.Typeflag != tar.TypeReg:
			return nil, fmt.Errorf("unpacking: %q is no plain file; links and devices are not read", head.Name)
		case !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\\x00"):
			return nil, fmt.Errorf("unpacking: %q is no name of a file in a folder below", head.Name)
		case seen[name] || folders[name]:
			return nil, fmt.Errorf("unpacking: %q stands in it twice", head.Name)
		}
		text, err := io.ReadAll(io.LimitReader(in, left+1))
		if err != nil {
			return nil, fmt.Errorf("unpacking %q: %w", head.Name, err)
		}
		if left -= int64(len(text)); left < 0 {
			return nil, fmt.Errorf("unpacking: it grows beyond %d bytes; unpack it and name the directory", maxArchive)
		}
		seen[name] = true
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if seen[dir] {
				return nil, fmt.Errorf("unpacking: %q is a file and a folder", dir)
			}
			folders[dir] = true
		}
		all = append(all, txtar.File{Name: name, Data: text})
	}
	return filesOf(all)
}

// filesOf makes files into a file system, without the one folder that they may all stand in.
func filesOf(all []txtar.File) (fs.FS, error) {
	slices.SortFunc(all, func(a, b txtar.File) int { return cmp.Compare(a.Name, b.Name) })
	files, err := txtar.FS(&txtar.Archive{Files: all})
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	top := ""
	for i, f := range all {
		folder, _, below := strings.Cut(f.Name, "/")
		if !below || folder == "logs" || i > 0 && folder != top {
			return files, nil
		}
		top = folder
	}
	if top == "" {
		return files, nil
	}
	return fs.Sub(files, top)
}
