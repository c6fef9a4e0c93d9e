package rules

import "crashloop/diagnose"

// All returns the catalogue, in the order in which it is listed and documented.
func All() []diagnose.Rule {
	all := []diagnose.Rule{
		appPanic(),
		appException(),
		appSegfault(),
		appMissingModule(),
		appBadArguments(),
		appInvalidConfig(),
		appPortInUse(),
		appPrivilegedPort(),
		appPermissionDenied(),
		appReadOnlyFilesystem(),
		appKubeRBAC(),
		appTLS(),
		appBadCredentials(),
		appIncompatibleData(),
		appLeaderElectionLost(),
		appCompleted(),
		appTerminated(),
		appExitCode(),

		imageExecFormat(),
		imageCommandNotFound(),
		imageNotExecutable(),
		imageBadInterpreter(),
		imageLibcMismatch(),
		imagePullFailed(),
		imageRunsAsRoot(),

		configEnvMissing(),
		configFileMissing(),
		configConfigMapMissing(),
		configSecretMissing(),
		configSecretNotSynced(),
		configKeyMissing(),
		configFilePermission(),
		configCRDMissing(),

		resourcesOOMLimit(),
		resourcesLimitUnit(),
		resourcesOOMLeak(),
		resourcesOOMJVMHeap(),
		resourcesOOMNode(),
		resourcesKilled(),
		resourcesCPUThrottled(),
		resourcesEphemeralStorage(),
		resourcesEvicted(),
		resourcesTooManyFiles(),

		volumePVCMissing(),
		volumePVCPending(),
		volumeMultiAttach(),
		volumeMountFailed(),
		volumeSubpathShadow(),
		volumeHostPath(),
		volumeFull(),
		volumePermission(),

		probeSlowStart(),
		probeWrongPort(),
		probeWrongPath(),
		probeUnhealthy(),
		probeTimeout(),
		probeTooAggressive(),
		probeExecFailed(),
		probeStartupFailed(),

		dependencyNoEndpoints(),
		dependencyServiceMissing(),
		dependencyWrongPort(),
		dependencySelectorMismatch(),
		dependencyPodPending(),
		dependencyNotReady(),
		dependencyCrashLooping(),
		dependencyExternal(),
		dependencyNetworkPolicy(),
		dependencyAdmissionRejected(),
		dependencyJobIncomplete(),
		dependencyWebhook(),

		nodeBadNode(),
		nodeNotReady(),
		nodeUnschedulable(),
		nodePodRejected(),
		nodeSandboxFailed(),
		nodeHostIncompatible(),
		nodeRuntimeError(),

		componentCoreDNSLoop(),
		componentDNSAPIUnreachable(),
		componentCNIIPExhausted(),
		componentCloudIdentity(),
		componentCalicoRBAC(),
		componentIngressConfig(),
		componentTLSSecretMissing(),
		componentStateLocked(),
	}
	for i := range all {
		all[i].About = Subject(all[i].ID)
	}
	return all
}
