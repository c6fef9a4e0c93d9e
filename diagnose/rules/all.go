package rules

import "crashloop/diagnose"

// All returns the catalogue, in the order in which it is listed and documented.
func All() []diagnose.Rule {
	return []diagnose.Rule{
		appPanic(),
		appException(),
		appBadArguments(),
		appInvalidConfig(),
		appCompleted(),
		appExitCode(),

		imageExecFormat(),
		imageCommandNotFound(),
		imagePullFailed(),

		configEnvMissing(),
		configFileMissing(),
		configConfigMapMissing(),
		configSecretMissing(),
		configKeyMissing(),

		resourcesOOMLimit(),
		resourcesKilled(),

		volumePVCMissing(),
		volumePVCPending(),

		probeSlowStart(),
		probeWrongPort(),
		probeUnhealthy(),

		dependencyNoEndpoints(),
		dependencyServiceMissing(),
		dependencyWrongPort(),
		dependencySelectorMismatch(),
		dependencyPodPending(),
		dependencyNotReady(),
		dependencyCrashLooping(),
		dependencyExternal(),
		dependencyNetworkPolicy(),

		nodeUnschedulable(),
	}
}
