package simulated

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// images is a registry in which every image exists, but for names that say otherwise:
//
//	registry.invalid/...   the registry's name does not resolve
//	...:missing            there is no such tag
//	...:private            pulling needs credentials
//
// An image whose tag is root runs as root; all others as an ordinary user.
type images struct {
	mu     sync.Mutex
	pulled map[string]*cri.Image
}

func newImages() *images { return &images{pulled: map[string]*cri.Image{}} }

// imageRef gives an image's ID, made of its name.
func imageRef(name string) string {
	if strings.HasPrefix(name, "sha256:") {
		return name
	}
	sum := sha256.Sum256([]byte(normal(name)))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// normal spells an image's name in full: web is docker.io/library/web:latest.
func normal(name string) string {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.TagNameOnly(ref).String()
}

// pullError gives what containerd says of an image that cannot be pulled.
func pullError(name string) error {
	full := normal(name)
	head := fmt.Sprintf("failed to pull and unpack image %q: failed to resolve reference %q: ", full, full)
	named, _, _ := strings.Cut(full, "/")
	switch {
	case named == "registry.invalid":
		path, tag := strings.TrimPrefix(full, named+"/"), "latest"
		if i := strings.LastIndex(path, ":"); i > 0 {
			path, tag = path[:i], path[i+1:]
		}
		return status.Error(codes.Unavailable, head+fmt.Sprintf("failed to do request: Head \"https://%s/v2/%s/manifests/%s\": dial tcp: lookup %s on 10.0.0.2:53: no such host", named, path, tag, named))
	case strings.HasSuffix(full, ":missing"):
		return status.Error(codes.NotFound, head+full+": not found")
	case strings.HasSuffix(full, ":private"):
		return status.Error(codes.Unknown, head+"pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed")
	}
	return nil
}

// ListImages lists what has been pulled.
func (x *images) ListImages(context.Context, *cri.ImageFilter) ([]*cri.Image, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := make([]*cri.Image, 0, len(x.pulled))
	for _, image := range x.pulled {
		all = append(all, image)
	}
	return all, nil
}

// ImageStatus describes an image that has been pulled.
func (x *images) ImageStatus(_ context.Context, spec *cri.ImageSpec, _ bool) (*cri.ImageStatusResponse, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return &cri.ImageStatusResponse{Image: x.pulled[imageRef(spec.Image)]}, nil
}

// PullImage makes an image be there, after a moment.
func (x *images) PullImage(ctx context.Context, spec *cri.ImageSpec, _ *cri.AuthConfig, _ *cri.PodSandboxConfig) (string, error) {
	if err := pullError(spec.Image); err != nil {
		return "", err
	}
	wait(ctx, 20*time.Millisecond)
	ref, full := imageRef(spec.Image), normal(spec.Image)
	image := &cri.Image{Id: ref, RepoTags: []string{full}, Size: 24 << 20, Spec: spec, Uid: &cri.Int64Value{Value: 65532}}
	if strings.HasSuffix(full, ":root") {
		image.Uid.Value = 0
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pulled[ref] = image
	return ref, nil
}

// RemoveImage forgets an image.
func (x *images) RemoveImage(_ context.Context, spec *cri.ImageSpec) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.pulled, imageRef(spec.Image))
	return nil
}

// ImageFsInfo describes an empty disk.
func (x *images) ImageFsInfo(context.Context) (*cri.ImageFsInfoResponse, error) {
	usage := &cri.FilesystemUsage{Timestamp: time.Now().UnixNano(), FsId: &cri.FilesystemIdentifier{Mountpoint: "/"},
		UsedBytes: &cri.UInt64Value{Value: 1 << 30}, InodesUsed: &cri.UInt64Value{Value: 1000}}
	return &cri.ImageFsInfoResponse{ImageFilesystems: []*cri.FilesystemUsage{usage}, ContainerFilesystems: []*cri.FilesystemUsage{usage}}, nil
}

// Close has nothing to close.
func (x *images) Close(context.Context) error { return nil }
