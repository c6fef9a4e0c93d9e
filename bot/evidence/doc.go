// Package evidence keeps what each incident's diagnoses read: logs that the kubelet drops a minute later, the pods, events and objects
// around them, redacted, packed as a snapshot that `crashloop diagnose --from` replays.
//
// A diagnosis reads through a [snapshot.Tape] that [Keeper.Witness] puts around its View, so that nothing is read twice and nothing is
// slower for it; the tape is packed later, off the path of the message. Which recordings of an incident are kept:
//
//   - the first, always;
//   - for each stretch of the same cause its first and its newest, the newest at most every half hour;
//   - four in all; where there would be more, the oldest but the first goes.
//
// Within the first two minutes a better one - it has a log, or the cause is surer - takes the place of the last. A recording without a log
// never takes the place of one with a log. An incident's recordings are bounded in size, all together in size, and each in age, whether or
// not the incident is over; where all together are too large, those that are neither an incident's first nor its last go before the
// others, and the oldest before the younger.
//
// What is kept is in memory until the next write, at most five seconds later, and goes out at once when the program stops. Start reading
// at [Keeper.Witness]; rule.go decides what is kept, entry.go is the form in which it is stored.
package evidence
