// Package access says who may do what: a Slack person becomes a Kubernetes user and groups by the access file ([Policy]), and the cluster's
// own RBAC decides by SubjectAccessReview whether that identity may use a verb on a resource ([Decider]).
//
// Everything here fails closed: a person who is no full member, an access file that cannot be read, an API server that does not answer -
// each is a refusal that says which it was. A refusal also holds what an admin would run, or write, to grant it. Start reading at
// [Decider.Decide].
package access
