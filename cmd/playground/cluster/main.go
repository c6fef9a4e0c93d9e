package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
	metricsserver "sigs.k8s.io/metrics-server/cmd/metrics-server/app"

	"crashloop/cmd/playground/simulated"
)

// Main runs a component of the cluster when this process was started as one, and then never returns. Otherwise it does nothing. Call it
// before anything else in main and TestMain.
func Main() {
	if len(os.Args) < 3 || os.Args[1] != subcommand {
		return
	}
	name, args := os.Args[2], os.Args[3:]
	ended := lifeline()
	if name != "watch" && name != "janitor" {
		go func() {
			<-ended
			os.Exit(0)
		}()
	}
	// What the components print about themselves must not name the test binary's flags.
	os.Args = append([]string{name}, args...)
	if err := setVersion(); err != nil {
		os.Exit(report(err))
	}
	os.Exit(runComponent(name, args, ended))
}

// lifeline gives a channel that closes when the parent is gone.
func lifeline() <-chan struct{} {
	ended := make(chan struct{})
	pipe := os.NewFile(lifelineFD, "lifeline")
	// Programs that this one starts must not inherit it.
	syscall.CloseOnExec(lifelineFD)
	go func() {
		defer close(ended)
		var b [1]byte
		for {
			if n, err := pipe.Read(b[:]); n == 0 || err != nil {
				return
			}
		}
	}()
	return ended
}

func runComponent(name string, args []string, ended <-chan struct{}) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	switch name {
	case "etcd":
		defer stop()
		return report(runEtcd(ctx, args))
	case "simulated-node":
		defer stop()
		return report(simulated.Run(ctx, args))
	case "coredns":
		defer stop()
		return report(runCoreDNS(ctx, args))
	case "watch":
		defer stop()
		return report(watch(ctx, ended, args))
	case "janitor":
		defer stop()
		return report(janitor(ctx, ended, args))
	}
	// The commands of Kubernetes handle signals themselves.
	stop()
	var cmd *cobra.Command
	switch name {
	case "kube-apiserver":
		cmd = apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		cmd = controllermanager.NewControllerManagerCommand()
	case "kube-scheduler":
		cmd = scheduler.NewSchedulerCommand()
	case "kubelet":
		cmd = kubelet.NewKubeletCommand(context.Background())
	case "kube-proxy":
		cmd = proxy.NewProxyCommand()
	case "metrics-server":
		cmd = metricsserver.NewMetricsServerCommand(genericapiserver.SetupSignalHandler())
	default:
		return report(fmt.Errorf("there is no component %q", name))
	}
	cmd.SetArgs(args)
	return cli.Run(cmd)
}

func report(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// watchGrace is how long a watched program has to end: the bot drains for up to ten seconds.
const watchGrace = 12 * time.Second

// watch runs a program and ends it when this process is asked to stop or the parent is gone. The first argument is the file to write the
// program's process id to, the others are its command line.
func watch(ctx context.Context, ended <-chan struct{}, args []string) error {
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	if err := os.WriteFile(args[0], []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
		cmd.Process.Kill()
		return errors.Join(err, <-exited)
	}
	select {
	case err := <-exited:
		return err
	case <-ctx.Done():
	case <-ended:
	}
	cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-exited:
		return err
	case <-time.After(watchGrace):
	}
	cmd.Process.Kill()
	return <-exited
}
