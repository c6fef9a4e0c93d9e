// Package kube is the bot's eye on a cluster. It owns three things: how a client is found and made ([Config]), the [Watch] that tells a
// [Sink] what goes wrong with pods and workloads, and the live [View] through which a diagnosis reads the cluster.
//
// The watch keeps no pods. Each pod becomes a few words in a store of the package's own as soon as it is decoded, a healthy one about a
// hundred bytes, and only what is not plainly healthy is kept as a whole record. There is no event informer: the few events that matter are
// read when they do. Of ReplicaSets, of which a cluster holds up to ten for each Deployment, those that no Deployment owns are kept; the
// others are dropped one by one as they are decoded.
//
// Start reading at [Watch.Run], then podstore.go and compact.go for the memory, topmost.go for whose pod it is, view.go for the reads.
package kube
