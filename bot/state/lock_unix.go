//go:build unix

package state

import (
	"os"
	"syscall"
)

// lockWhole takes a lock that ends with the file's closing, or with the process.
func lockWhole(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
