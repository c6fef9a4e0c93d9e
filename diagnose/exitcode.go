package diagnose

// signalName knows the signals that a container dies of (signal(7), the numbers of Linux on x86 and ARM).
func signalName(n int32) string {
	switch n {
	case 1:
		return "SIGHUP"
	case 2:
		return "SIGINT"
	case 3:
		return "SIGQUIT"
	case 4:
		return "SIGILL"
	case 5:
		return "SIGTRAP"
	case 6:
		return "SIGABRT"
	case 7:
		return "SIGBUS"
	case 8:
		return "SIGFPE"
	case 9:
		return "SIGKILL"
	case 11:
		return "SIGSEGV"
	case 13:
		return "SIGPIPE"
	case 14:
		return "SIGALRM"
	case 15:
		return "SIGTERM"
	case 24:
		return "SIGXCPU"
	case 25:
		return "SIGXFSZ"
	case 31:
		return "SIGSYS"
	}
	return ""
}

// ExitCode says in words what an exit code means by convention: the shell's (bash(1), "EXIT STATUS": 126, 127, 128 and a signal's
// number), sysexits(3) for 64 to 78, and the runtimes' own.
func ExitCode(code int32) string {
	if name := signalName(code - 128); code > 128 && name != "" {
		switch code {
		case 137:
			return "killed with SIGKILL"
		case 143:
			return "ended by SIGTERM"
		case 139:
			return "SIGSEGV: it touched memory that is not its own"
		case 134:
			return "SIGABRT: it aborted itself"
		case 132:
			return "SIGILL: a CPU instruction that this machine does not have"
		}
		return "ended by " + name
	}
	switch code {
	case 0:
		return "it finished without an error"
	case 1:
		return "a general error"
	case 2:
		return "wrong usage, or a Go panic"
	case 64:
		return "wrong usage (EX_USAGE)"
	case 65:
		return "bad input data (EX_DATAERR)"
	case 66:
		return "an input file is missing (EX_NOINPUT)"
	case 69:
		return "a service that it needs is unavailable (EX_UNAVAILABLE)"
	case 70:
		return "an internal error (EX_SOFTWARE)"
	case 71:
		return "an operating system error (EX_OSERR)"
	case 73:
		return "it cannot create an output file (EX_CANTCREAT)"
	case 74:
		return "an input or output error (EX_IOERR)"
	case 75:
		return "a failure that may pass (EX_TEMPFAIL)"
	case 77:
		return "permission denied (EX_NOPERM)"
	case 78:
		return "wrong configuration (EX_CONFIG)"
	case 101:
		return "a Rust panic"
	case 126:
		return "the command is there but cannot be executed"
	case 127:
		return "the command was not found"
	case 128:
		return "the container could not be started"
	case 255:
		return "exit(-1), a PHP error, or the node lost track of it"
	}
	return "a code of the program's own"
}
