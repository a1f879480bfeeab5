package main

// required returns the names of the tests that must exist, run without
// skipping, and pass.
func required() []string {
	return []string{
		// The way of a sample from a collector to the receiver.
		"TestE2E_FullCollectionUploadCycle",
		"TestMetricNameSanitization",
		"TestChunkSizeRespected",
		"TestTimestampSortingWithinChunks",
		"TestBuildVMJSONL_FiltersStringMetrics",
		"TestBuildChunks_SkipsEmptyChunks",
		"TestWireLabelsAreSeriesDeviceAndTags",
		"TestTransportIsSmallAndFollowsNothing",

		// What happens when the receiver does not take it.
		"TestExponentialBackoff_WithJitter",
		"TestRetryAfter_HeaderParsing",
		"TestMaxRetriesRespected",
		"TestNonRetryableErrors_NoRetry",
		"TestRetryableErrors_DoRetry",

		// Configuration reaches what it configures.
		"TestConfigWiring_BatchSize",
		"TestConfigWiring_CustomBatchSizeVsDefault",
		"TestConfigWiring_ChunkSize",
		"TestConfigWiring_AuthToken",
		"TestConfigWiring_RetryEnabled",
		"TestConfigWiring_RetryDisabled",
		"TestConfigWiring_RetryDefaults",
		"TestConfigWiring_RetryExplicitlyDisabled",
		"TestConfigWiring_RetryExplicitlyEnabled",
		"TestConfigWiring_RetryDisabledWithOnlyEnabledFalse",
		"TestConfigWiring_RetryEnabledWithOnlyEnabledTrue",
		"TestConfigWiring_RetryJitterDefaultWhenPartialConfig",
		"TestConfigWiring_RetryExplicitZeroJitter",

		// It survives.
		"TestE2E_ProcessRestart_ResumeFromCheckpoint",
		"TestE2E_VMRestart_ResumeUpload",
		"TestContextCancellation_GracefulShutdown",
		"TestQueryUnuploaded_FiltersStringMetrics",
		"TestGetPendingCount_FiltersStringMetrics",
		"TestUploadMetrics_StringMetricsRemainInStorage",
		"TestCheckpointsPersist",
		"TestFailedUploadMarksNothing",

		// A state directory has one owner.
		"TestAcquireRelease",
		"TestSecondAcquireRefused",
		"TestOtherProcessHolds",
		"TestForeignContent",

		// Exactly once, whatever the link and the receiver do.
		"TestNoDuplicateUploads_SameBatchRetried",
		"TestNoDuplicateUploads_NetworkRetry",
		"TestChunkReplay_DedupKeyPrevents",
		"TestChunkAtomicity_5xxForcesFullRetry",
		"TestPartialSuccess_VMAccepts25Of50",
		"TestPartialSuccess_Fallback200WithoutDetails",
		"TestChunkByteLimit_AutoBisecting",
		"TestChunkCompression_TargetSize",
		"TestEmptyChunkSkipping_AllStringMetrics",
		"TestNetworkPartition_ResumesAfterRecovery",
		"TestTimestampValidation_FarFutureClamping",
		"TestEachSampleArrivesOnce",
		"TestE2E_CaptivePortalMarksNothing",
		"TestRestartInAnOutageOfManySegments",
		"TestHostileSamplesBlockNothing",
		"TestWindowsOfFiveMinutesAreUsed",
	}
}
