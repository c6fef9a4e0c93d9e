package simulated

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// The format of a container's log, line by line: time, stream, F for a full line, text (Kubernetes' CRI logging proposal).
const logLine = "%s stdout F %s\n"

// appendLog appends text to a log, line by line; it makes the file when there is none.
func appendLog(path, text string) error {
	var lines []string
	if text != "" {
		lines = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	}
	return writeLog(path, func(w *bufio.Writer) {
		for _, line := range lines {
			fmt.Fprintf(w, logLine, stamp(), line)
		}
	})
}

// appendFiller appends numbered lines, size bytes of them as `kubectl logs` counts them.
func appendFiller(path string, size *resource.Quantity) error {
	if size == nil {
		return nil
	}
	return writeLog(path, func(w *bufio.Writer) {
		now := stamp()
		written := 0
		for n := 1; written < int(size.Value()); n++ {
			line := fmt.Sprintf("level=info msg=\"request served\" n=%d method=GET path=/api/v1/orders status=200 duration=%dms", n, n%97)
			fmt.Fprintf(w, logLine, now, line)
			written += len(line) + 1
		}
	})
}

// chunk is how many bytes of a line without a break container runtimes put into one line of the log; all but the last are marked P, partial.
const chunk = 16 << 10

// appendLongLine appends one line of so many bytes.
func appendLongLine(path string, size *resource.Quantity) error {
	if size == nil {
		return nil
	}
	return writeLog(path, func(w *bufio.Writer) {
		for left := int(size.Value()); left > 0; left -= chunk {
			tag := "P"
			if left <= chunk {
				tag = "F"
			}
			fmt.Fprintf(w, "%s stdout %s %s\n", stamp(), tag, strings.Repeat("x", min(left, chunk)))
		}
	})
}

func stamp() string { return time.Now().UTC().Format(time.RFC3339Nano) }

func writeLog(path string, write func(*bufio.Writer)) error {
	if path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("making the folder of a log: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("opening a log: %w", err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 64<<10)
	write(w)
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing a log: %w", err)
	}
	return nil
}
