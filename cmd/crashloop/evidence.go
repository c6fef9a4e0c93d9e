package main

import (
	"context"
	"fmt"
	"log/slog"

	"crashloop/bot"
	"crashloop/bot/evidence"
	"crashloop/bot/state"
	"crashloop/diagnose"
)

// openEvidence opens what is kept of incidents, beside the rest of the state. The Keeper is nil when nothing is to be kept.
func openEvidence(ctx context.Context, c Config, cl cluster, log *slog.Logger) (*evidence.Keeper, func(), error) {
	if c.EvidenceAge == 0 {
		return nil, func() {}, nil
	}
	store, err := state.Open(ctx, c.State, state.Options{
		Client: cl.clients.Objects, InCluster: cl.inCluster, Namespace: c.InstanceNamespace, Cluster: cl.name, Log: log, Part: "evidence",
	})
	if err != nil {
		return nil, nil, fmt.Errorf("opening the state for evidence (CRASHLOOP_STATE): %w", err)
	}
	shut := func() {
		if err := store.Close(); err != nil {
			log.Error("closing the state failed; evidence that was captured last may be lost", "error", err)
		}
	}
	keeper, err := evidence.New(evidence.Options{
		Store: store, Redact: diagnose.NewRedactor(), Age: c.EvidenceAge, PerIncident: int(c.EvidenceIncidentSize), Total: int(c.EvidenceTotalSize), Log: log.With("part", "evidence"),
	})
	if err == nil {
		err = keeper.Restore(ctx)
	}
	if err != nil {
		shut()
		return nil, nil, err
	}
	return keeper, shut, nil
}

// witness is the keeper as the bot's Evidence: nil when there is none.
func witness(k *evidence.Keeper) bot.Evidence {
	if k == nil {
		return nil
	}
	return k
}
