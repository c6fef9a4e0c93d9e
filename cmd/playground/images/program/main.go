// The program in the playground's container images: it fails in the ways that the scenarios need, for real. Static, for Linux.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

const usage = `usage: server COMMAND [FLAGS]
  pause    wait until stopped
  serve    answer HTTP: -listen :8080 -after 0s -status 200 -status-after 0s -ignore-stop
  dial     connect to -address HOST:PORT, and exit 1 when that fails
  panic    dereference a nil pointer
  alloc    use -mib MiB of memory, a little at a time
  print    print -size bytes of numbered lines, then end with -code
`

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC)
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	commands := map[string]func([]string) error{"pause": pause, "serve": serve, "dial": dial, "panic": crash, "alloc": alloc, "print": printLines}
	run, ok := commands[os.Args[1]]
	if !ok {
		fmt.Fprintf(os.Stderr, "server: unknown command %q\n%s", os.Args[1], usage)
		os.Exit(2)
	}
	if err := run(os.Args[2:]); err != nil {
		log.Fatal(err)
	}
}

func stopped() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
}

func pause([]string) error {
	ctx, stop := stopped()
	defer stop()
	<-ctx.Done()
	return nil
}

func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	listen := flags.String("listen", ":8080", "address")
	after := flags.Duration("after", 0, "time until it listens")
	status := flags.Int("status", http.StatusOK, "HTTP status of every answer")
	statusAfter := flags.Duration("status-after", 0, "time until it answers with that status; 200 before")
	say := flags.String("say", "", "what it logs when it begins to answer with that status")
	ignore := flags.Bool("ignore-stop", false, "ignore SIGTERM, until the kubelet kills it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := stopped()
	defer stop()
	if *ignore {
		stop()
		ctx = context.Background()
		signal.Ignore(syscall.SIGTERM)
	}
	if *after > 0 {
		log.Printf("loading the catalogue before listening on %s", *listen)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(*after):
		}
	}
	begin := time.Now()
	var said atomic.Bool
	server := &http.Server{Addr: *listen, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if time.Since(begin) < *statusAfter {
			return
		}
		if *say != "" && said.CompareAndSwap(false, true) {
			log.Print(*say)
		}
		w.WriteHeader(*status)
	})}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	log.Printf("listening on %s", *listen)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func dial(args []string) error {
	flags := flag.NewFlagSet("dial", flag.ExitOnError)
	address := flags.String("address", "", "HOST:PORT")
	if err := flags.Parse(args); err != nil {
		return err
	}
	log.Print("starting")
	conn, err := net.DialTimeout("tcp", *address, 5*time.Second)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", *address, err)
	}
	defer conn.Close()
	log.Printf("connected to %s", *address)
	return pause(nil)
}

// order is what crash looks for and does not find.
type order struct{ total int }

func crash([]string) error {
	log.Print("starting, version 1.4.2")
	time.Sleep(time.Second)
	var missing *order
	log.Printf("total is %d", missing.total)
	return nil
}

func alloc(args []string) error {
	flags := flag.NewFlagSet("alloc", flag.ExitOnError)
	mib := flags.Int("mib", 64, "MiB to use")
	if err := flags.Parse(args); err != nil {
		return err
	}
	log.Printf("loading the price list into memory")
	var held [][]byte
	for range *mib {
		block := make([]byte, 1<<20)
		for i := range block {
			block[i] = byte(i)
		}
		held = append(held, block)
		time.Sleep(20 * time.Millisecond)
	}
	log.Printf("holding %d MiB", len(held))
	return pause(nil)
}

func printLines(args []string) error {
	flags := flag.NewFlagSet("print", flag.ExitOnError)
	size := flags.Int("size", 1<<20, "bytes")
	code := flags.Int("code", 1, "exit code")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for n, written := 1, 0; written < *size; n++ {
		w, err := fmt.Printf("level=info msg=\"request served\" n=%d method=GET path=/api/v1/orders status=200\n", n)
		if err != nil {
			return err
		}
		written += w
	}
	os.Exit(*code)
	return nil
}
