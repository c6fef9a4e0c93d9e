package diagnose

import (
	"fmt"
	"strings"
	"testing"
)

// TestLongListOfAddresses reads a list of brokers that is longer than most lines: each as it is written, and no more than a bound of them.
func TestLongListOfAddresses(t *testing.T) {
	var hosts []string
	for i := range 60 {
		hosts = append(hosts, fmt.Sprintf("broker-%02d.kafka.messaging.svc:9092", i))
	}
	got := newAddressPatterns().find("cannot reach kafka://" + strings.Join(hosts, ","))
	if len(got) != maxAddresses {
		t.Fatalf("found %d addresses, want %d", len(got), maxAddresses)
	}
	for i, a := range got {
		if a.String() != hosts[i] {
			t.Errorf("address %d is %s, want %s", i, a, hosts[i])
		}
	}
}
