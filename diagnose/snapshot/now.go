package snapshot

import (
	"encoding/json"
	"time"
)

// times is where an object says when something happened. Dates out of a spec or a certificate are left out: they may lie in the future.
// Each is text, since what is no time must not spoil the others.
type times struct {
	Metadata struct {
		CreationTimestamp string `json:"creationTimestamp"`
		ManagedFields     []struct {
			Time string `json:"time"`
		} `json:"managedFields"`
	} `json:"metadata"`
	Status struct {
		Conditions []struct {
			LastTransitionTime string `json:"lastTransitionTime"`
			LastUpdateTime     string `json:"lastUpdateTime"`
			LastHeartbeatTime  string `json:"lastHeartbeatTime"`
			LastProbeTime      string `json:"lastProbeTime"`
		} `json:"conditions"`
		ContainerStatuses          []containerTimes `json:"containerStatuses"`
		InitContainerStatuses      []containerTimes `json:"initContainerStatuses"`
		EphemeralContainerStatuses []containerTimes `json:"ephemeralContainerStatuses"`
	} `json:"status"`

	// Of an Event, in either style.
	FirstTimestamp           string `json:"firstTimestamp"`
	LastTimestamp            string `json:"lastTimestamp"`
	DeprecatedFirstTimestamp string `json:"deprecatedFirstTimestamp"`
	DeprecatedLastTimestamp  string `json:"deprecatedLastTimestamp"`
	EventTime                string `json:"eventTime"`
	Series                   struct {
		LastObservedTime string `json:"lastObservedTime"`
	} `json:"series"`
}

type containerTimes struct {
	State     stateTimes `json:"state"`
	LastState stateTimes `json:"lastState"`
}

type stateTimes struct {
	Running    startAndEnd `json:"running"`
	Terminated startAndEnd `json:"terminated"`
}

type startAndEnd struct {
	StartedAt  string `json:"startedAt"`
	FinishedAt string `json:"finishedAt"`
}

// latest gives the newest of the times of an object and one that is known already.
func latest(newest time.Time, raw json.RawMessage) time.Time {
	var t times
	_ = json.Unmarshal(raw, &t) // a field that is no text is no time
	see := func(texts ...string) {
		for _, text := range texts {
			if at, err := time.Parse(time.RFC3339, text); err == nil && at.After(newest) {
				newest = at.UTC()
			}
		}
	}
	see(t.Metadata.CreationTimestamp)
	for _, f := range t.Metadata.ManagedFields {
		see(f.Time)
	}
	for _, c := range t.Status.Conditions {
		see(c.LastTransitionTime, c.LastUpdateTime, c.LastHeartbeatTime, c.LastProbeTime)
	}
	for _, list := range [][]containerTimes{t.Status.ContainerStatuses, t.Status.InitContainerStatuses, t.Status.EphemeralContainerStatuses} {
		for _, c := range list {
			for _, s := range []stateTimes{c.State, c.LastState} {
				see(s.Running.StartedAt, s.Terminated.StartedAt, s.Terminated.FinishedAt)
			}
		}
	}
	see(t.FirstTimestamp, t.LastTimestamp, t.DeprecatedFirstTimestamp, t.DeprecatedLastTimestamp, t.EventTime, t.Series.LastObservedTime)
	return newest
}
