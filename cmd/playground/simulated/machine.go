package simulated

import (
	"context"
	"os"

	cadvisorapi "github.com/google/cadvisor/info/v1"
	cadvisorapiv2 "github.com/google/cadvisor/info/v2"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
)

// The made-up machine: the size of a common cloud instance.
const (
	machineCores  = 8
	machineMemory = 32 << 30
	machineDisk   = 100 << 30
)

// machine answers what the kubelet asks of cAdvisor.
type machine struct {
	name    string
	runtime *runtime
}

func (machine) Start() error { return nil }

func (machine) GetRequestedContainersInfo(string, cadvisorapiv2.RequestOptions) (map[string]*cadvisorapi.ContainerInfo, error) {
	return map[string]*cadvisorapi.ContainerInfo{}, nil
}

func (m machine) MachineInfo() (*cadvisorapi.MachineInfo, error) {
	return &cadvisorapi.MachineInfo{NumCores: machineCores, MemoryCapacity: machineMemory, MachineID: m.name, SystemUUID: m.name, BootID: m.name}, nil
}

func (machine) VersionInfo() (*cadvisorapi.VersionInfo, error) {
	return &cadvisorapi.VersionInfo{KernelVersion: "6.1.0-simulated", ContainerOsVersion: "Simulated Linux"}, nil
}

func (machine) disk() (cadvisorapiv2.FsInfo, error) {
	return cadvisorapiv2.FsInfo{Capacity: machineDisk, Available: machineDisk * 9 / 10, Usage: machineDisk / 10}, nil
}

func (m machine) ImagesFsInfo(context.Context) (cadvisorapiv2.FsInfo, error)    { return m.disk() }
func (m machine) RootFsInfo() (cadvisorapiv2.FsInfo, error)                     { return m.disk() }
func (m machine) ContainerFsInfo(context.Context) (cadvisorapiv2.FsInfo, error) { return m.disk() }
func (m machine) GetDirFsInfo(string) (cadvisorapiv2.FsInfo, error)             { return m.disk() }

// containerManager is the part of the kubelet that owns cgroups and devices: there are none.
type containerManager struct{ cm.ContainerManager }

func newContainerManager() cm.ContainerManager { return containerManager{cm.NewStubContainerManager()} }

// GetCapacity gives what does not come from cAdvisor: the disk.
func (containerManager) GetCapacity(bool) core.ResourceList {
	return core.ResourceList{core.ResourceEphemeralStorage: *resource.NewQuantity(machineDisk, resource.BinarySI)}
}

// NewPodContainerManager gives the manager of the pods' cgroups.
func (m containerManager) NewPodContainerManager() cm.PodContainerManager {
	return podContainerManager{m.ContainerManager.NewPodContainerManager()}
}

type podContainerManager struct{ cm.PodContainerManager }

// GetPodCgroupConfig says that the pod has no cgroup; the stub says it as an error, which the kubelet logs at every look.
func (podContainerManager) GetPodCgroupConfig(*core.Pod, core.ResourceName) (*cm.ResourceConfig, error) {
	return nil, nil
}

// privateOS is the operating system without the folder /var/log/containers, in which the kubelet links logs and removes dead links.
type privateOS struct{ kubecontainer.RealOS }

func (privateOS) Symlink(string, string) error { return nil }

func (privateOS) Glob(string) ([]string, error) { return nil, nil }

func (privateOS) Hostname() (string, error) { return os.Hostname() }
