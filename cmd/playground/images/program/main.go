//go:build linux

// The program in the playground's container images: it fails in the ways that the scenarios need, for real. Static, for Linux.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = `usage: server COMMAND [FLAGS]
  pause    wait until stopped
  serve    answer HTTP: -listen :8080 -after 0s -status 200 -status-after 0s -path / -hang-after 0s -work 0s -expired -ignore-stop
  dial     connect to -address HOST:PORT, and exit 1 when that fails
  fetch    get -url URL, and exit 1 unless the answer is 200
  api      get -path PATH of the Kubernetes API as the pod's own ServiceAccount
  panic    dereference a nil pointer
  segfault die of SIGSEGV, as a program without a runtime of its own does
  alloc    use -mib MiB of memory, one -every 20ms
  read     read -file PATH
  write    write -mib MiB to -file PATH
  open     open -file PATH again and again, and close nothing
  settings read -file PATH as JSON
  print    print -size bytes of numbered lines, then end with -code
`

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC)
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	commands := map[string]func([]string) error{
		"pause": pause, "serve": serve, "dial": dial, "fetch": fetch, "api": api, "panic": crash, "segfault": segfault, "alloc": alloc,
		"read": readFile, "write": writeFile, "open": openFiles, "settings": readSettings, "print": printLines,
	}
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
	every := flags.Duration("every", 20*time.Millisecond, "time between two of them")
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
		time.Sleep(*every)
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
