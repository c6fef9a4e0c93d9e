// Package state owns what survives a restart of the bot: small values under keys, kept where the cluster keeps its own state - ConfigMaps
// in the bot's namespace - or in a directory outside of a cluster, or in memory where nothing need survive. All three pass one conformance
// suite. It also owns the Lease by which several instances of the bot agree on the one that acts.
//
// Large values that are seldom written stand in a part of their own ([Options.Part]), so that they are not written again with each small one.
//
// Start reading at [Open] and [Store]; each kind of store is one file, and [Lead] is in lead.go.
package state
