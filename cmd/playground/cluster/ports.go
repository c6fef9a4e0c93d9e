package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// Ports that a program listens on come from a range of their own: below those that the kernel gives to connections (32768 and up on Linux,
// ip_local_port_range) and below Services' node ports (30000 and up). Any other could be a connection's by the time that the program starts,
// or starts again.
const (
	firstPort = 20000
	portCount = 10000
)

// FreeAddress finds a loopback address that nothing listens on.
func FreeAddress() (string, error) {
	ports, err := freePorts("127.0.0.1", 1)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0])), nil
}

// freePorts finds ports of a local address that nothing listens on. All are held open until all are found, so that they differ.
func freePorts(address string, n int) ([]int, error) {
	ports := make([]int, 0, n)
	for tries := 0; len(ports) < n; tries++ {
		if tries == portCount {
			return nil, fmt.Errorf("there are no %d free ports of %s from %d to %d", n, address, firstPort, firstPort+portCount-1)
		}
		port := firstPort + rand.IntN(portCount)
		l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
		defer l.Close()
		ports = append(ports, port)
	}
	return ports, nil
}
