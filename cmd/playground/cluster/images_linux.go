package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"crashloop/cmd/playground/scenarios"
)

// pauseImage holds a pod's namespaces open.
const pauseImage = "registry.example/playground/pause:1.0"

// BaseImage is for pods of one's own on a containerd node: it has busybox, and /app/server of package images/program.
const BaseImage = "registry.example/playground/base:1.0"

// importImages makes the image that all containers share and loads it into containerd, under each name that a scenario uses.
func (c *Cluster) importImages(ctx context.Context, socket string) error {
	names, err := scenarios.Images()
	if err != nil {
		return err
	}
	names = append(names, pauseImage, BaseImage)
	image, err := c.buildImage(ctx)
	if err != nil {
		return err
	}
	tagged := map[name.Tag]v1.Image{}
	for _, n := range names {
		tag, err := name.NewTag(n, name.StrictValidation)
		if err != nil {
			return fmt.Errorf("reading the image name %q: %w", n, err)
		}
		tagged[tag] = image
	}
	path := filepath.Join(c.dir, "images.tar")
	if err := tarball.MultiWriteToFile(path, tagged); err != nil {
		return fmt.Errorf("writing the images: %w", err)
	}
	out, err := exec.CommandContext(ctx, "ctr", "--address", socket, "--namespace=k8s.io", "images", "import", path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("loading the images into containerd: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return os.Remove(path)
}

// buildImage makes an image of busybox and the program that fails in the scenarios' ways.
func (c *Cluster) buildImage(ctx context.Context) (v1.Image, error) {
	busybox, err := staticBusybox()
	if err != nil {
		return nil, err
	}
	program := filepath.Join(c.dir, "server")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "crashloop/cmd/playground/images/program")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the images' program: %w: %s", err, strings.TrimSpace(string(out)))
	}
	defer os.Remove(program)
	var layer bytes.Buffer
	if err := writeLayer(&layer, busybox, program); err != nil {
		return nil, fmt.Errorf("making the image: %w", err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return nil, fmt.Errorf("making the image: %w", err)
	}
	image, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return nil, fmt.Errorf("making the image: %w", err)
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("making the image: %w", err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	file.Config.Entrypoint, file.Config.Cmd = []string{"/app/server"}, []string{"pause"}
	return mutate.ConfigFile(image, file)
}

// applets are the names that busybox answers to in the image.
var applets = []string{"sh", "cat", "echo", "env", "false", "grep", "head", "id", "kill", "ls", "mkdir", "nc", "nslookup", "printf", "ps", "sleep", "tail", "touch", "true", "wget"}

func writeLayer(w io.Writer, busybox, program string) error {
	t := tar.NewWriter(w)
	for _, dir := range []string{"app/", "bin/", "etc/", "tmp/", "usr/", "usr/bin/"} {
		mode := int64(0o755)
		if dir == "tmp/" {
			mode = 0o1777
		}
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: mode}); err != nil {
			return err
		}
	}
	for _, file := range []struct{ from, to string }{{busybox, "bin/busybox"}, {program, "app/server"}} {
		data, err := os.ReadFile(file.from)
		if err != nil {
			return err
		}
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: file.to, Mode: 0o755, Size: int64(len(data))}); err != nil {
			return err
		}
		if _, err := t.Write(data); err != nil {
			return err
		}
	}
	foreign, err := foreignProgram(program)
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "app/foreign", Mode: 0o755, Size: int64(len(foreign))}); err != nil {
		return err
	}
	if _, err := t.Write(foreign); err != nil {
		return err
	}
	passwd := "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644, Size: int64(len(passwd))}); err != nil {
		return err
	}
	if _, err := io.WriteString(t, passwd); err != nil {
		return err
	}
	for _, applet := range applets {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + applet, Linkname: "busybox", Mode: 0o777}); err != nil {
			return err
		}
	}
	return t.Close()
}

// foreignProgram is the head of a program for another processor than this machine's: the kernel refuses it before it reads any further.
func foreignProgram(program string) ([]byte, error) {
	f, err := os.Open(program)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 4096)
	if _, err := io.ReadFull(f, head); err != nil {
		return nil, err
	}
	const machine = 18 // where e_machine is in the ELF header
	other := elf.EM_AARCH64
	if runtime.GOARCH == "arm64" {
		other = elf.EM_X86_64
	}
	binary.NativeEndian.PutUint16(head[machine:], uint16(other))
	return head, nil
}

// staticBusybox finds a busybox that needs no libraries: the image has none.
func staticBusybox() (string, error) {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return "", errors.New("busybox-static")
	}
	f, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("a static busybox (reading %s: %w)", path, err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "", fmt.Errorf("a static busybox (%s is not static)", path)
		}
	}
	return path, nil
}
