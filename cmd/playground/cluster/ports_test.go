package cluster

import (
	"net"
	"slices"
	"strconv"
	"testing"
)

func TestFreePorts(t *testing.T) {
	const n = 200
	ports, err := freePorts("127.0.0.1", n)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != n || ports[0] < firstPort || ports[n-1] >= firstPort+portCount {
		t.Errorf("the ports are %v", ports)
	}
	for _, port := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			t.Error(err)
			continue
		}
		defer l.Close() // taken from now on
	}
	more, err := freePorts("127.0.0.1", n)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range more {
		if slices.Contains(ports, port) {
			t.Errorf("port %d is taken", port)
		}
	}
	if _, err := freePorts("192.0.2.1", 1); err == nil { // an address of documentation: no machine has it
		t.Error("a port of another machine is free")
	}
}
