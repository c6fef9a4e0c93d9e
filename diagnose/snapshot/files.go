package snapshot

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// directory is a file system that never leaves the directory, whatever symbolic links stand in it.
type directory string

func (d directory) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return os.OpenInRoot(string(d), filepath.FromSlash(name))
}

// Stat does not open the file: opening a named pipe would wait for its writer.
func (d directory) Stat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Stat(filepath.FromSlash(name))
}

// maxSearched bounds the search for objects in the wrong place.
const maxSearched = 20_000

// nothingFound says that there are no objects where they are looked for, and where there are some.
func nothingFound(files fs.FS) error {
	const what = "there are no Kubernetes objects in it, so nothing can be said of a cluster"
	elsewhere, seen := "", 0
	_ = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		seen++
		switch {
		case err != nil:
			return nil // what cannot be read is no place to point at
		case seen > maxSearched:
			return fs.SkipAll
		case d.IsDir() || !isObjects(name) || !holdsObjects(files, name):
			return nil
		}
		elsewhere = path.Dir(name)
		if isDumped(path.Base(name)) {
			elsewhere = path.Dir(elsewhere)
		}
		return fs.SkipAll
	})
	if elsewhere != "" && elsewhere != "." {
		return fmt.Errorf("%s.\nThe folder %s in it holds some: name that one", what, elsewhere)
	}
	return fmt.Errorf(`%s.
It takes .yaml, .yml and .json files at the top of the directory, and the folders that cluster-info dump writes. Make some with
  kubectl get pods,events,nodes,services,configmaps,deployments,replicasets,statefulsets,daemonsets,jobs -A -o yaml > DIR/objects.yaml
or kubectl cluster-info dump -A --output-directory DIR`, what)
}
