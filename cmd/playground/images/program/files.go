//go:build linux

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
)

// fileFlag reads a command line that names a file, and possibly a size.
func fileFlag(command string, args []string) (file string, mib int, err error) {
	flags := flag.NewFlagSet(command, flag.ExitOnError)
	flags.StringVar(&file, "file", "", "path")
	flags.IntVar(&mib, "mib", 1, "MiB to write")
	err = flags.Parse(args)
	return file, mib, err
}

func readFile(args []string) error {
	file, _, err := fileFlag("read", args)
	if err != nil {
		return err
	}
	log.Print("starting")
	if _, err := os.ReadFile(file); err != nil {
		return err
	}
	return pause(nil)
}

func writeFile(args []string) error {
	file, mib, err := fileFlag("write", args)
	if err != nil {
		return err
	}
	log.Print("starting")
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	for range mib {
		if _, err := f.Write(make([]byte, 1<<20)); err != nil {
			return err
		}
	}
	log.Printf("wrote %d MiB to %s", mib, file)
	return pause(nil)
}

func openFiles(args []string) error {
	file, _, err := fileFlag("open", args)
	if err != nil {
		return err
	}
	log.Print("starting")
	var held []*os.File
	for range 1 << 20 {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		held = append(held, f)
	}
	log.Printf("holding %d files", len(held))
	return pause(nil)
}

func readSettings(args []string) error {
	file, _, err := fileFlag("settings", args)
	if err != nil {
		return err
	}
	log.Print("starting")
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var settings map[string]any
	if err := json.Unmarshal(data, &settings); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	return pause(nil)
}
