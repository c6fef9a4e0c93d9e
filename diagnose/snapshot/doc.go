// Package snapshot reads a cluster from files, and writes what was read of one into files.
//
// [Open] gives a [diagnose.View] of a directory: the layout of a recording, any `kubectl get -o yaml` or `-o json` output, and what
// `kubectl cluster-info dump` writes into a directory or prints. [Record] wraps any View, remembers what it was asked, and writes it, redacted,
// as a directory that Open reads and that gives the same diagnosis again. [Tape] does so for the running bot: it costs the reader nothing,
// is packed later if at all, within bounds, and its archive ([ReadArchive]) can be handed on without the parts that somebody may not read.
//
// Start reading at [Open]; decode.go says what counts as an object, logs.go where logs are looked for, stdout.go what a dump in one file is,
// parts.go what of a snapshot can be handed on.
package snapshot
