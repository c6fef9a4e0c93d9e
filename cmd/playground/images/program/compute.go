//go:build linux

package main

import (
	"math"
	"runtime"
	"syscall"
	"time"
)

// compute uses that much CPU time, which takes much longer where a limit leaves little of it.
func compute(d time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for begin := threadTime(); threadTime()-begin < d; {
	}
}

func threadTime() time.Duration {
	const thread = 1 // RUSAGE_THREAD of getrusage(2)
	var used syscall.Rusage
	if err := syscall.Getrusage(thread, &used); err != nil {
		return math.MaxInt64
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
