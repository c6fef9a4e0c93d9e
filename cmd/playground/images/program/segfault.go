//go:build linux

package main

import (
	"log"
	"syscall"
	"time"
	"unsafe"
)

// segfault gives SIGSEGV back to the kernel, which Go's runtime would turn into a panic, and reads address 0. A native program that does so
// leaves nothing behind but its exit code.
func segfault([]string) error {
	log.Print("starting")
	time.Sleep(time.Second)
	// struct sigaction of the kernel: handler (0: the default action), flags, restorer and mask.
	var action [4]uintptr
	const maskSize = 8
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGSEGV), uintptr(unsafe.Pointer(&action)), 0, maskSize, 0, 0); errno != 0 {
		return errno
	}
	var missing *order
	log.Printf("total is %d", missing.total)
	return nil
}
