package events

// Change is one word for what happened to a subscription. A consumer must bear
// words that it does not know: later releases may add some.
type Change string

// What can happen to a subscription. None of these words means that money
// moved: that is the event invoice.paid.
const (
	ChangeActivated           Change = "activated"
	ChangeTrialStarted        Change = "trial_started"
	ChangeTrialEnded          Change = "trial_ended"
	ChangeTrialChanged        Change = "trial_changed"
	ChangeRenewed             Change = "renewed"
	ChangePlan                Change = "plan_changed"
	ChangeQuantity            Change = "quantity_changed"
	ChangeItems               Change = "items_changed"
	ChangeCancelScheduled     Change = "cancel_scheduled"
	ChangeCancelUnscheduled   Change = "cancel_unscheduled"
	ChangeCancellationDetails Change = "cancellation_details_changed"
	ChangeCanceled            Change = "canceled"
	ChangeExpired             Change = "expired"
	ChangePastDue             Change = "past_due"
	ChangeUnpaid              Change = "unpaid"
	ChangeRecovered           Change = "recovered"
	ChangePaused              Change = "paused"
	ChangeResumed             Change = "resumed"
	ChangeCollectionPaused    Change = "collection_paused"
	ChangeCollectionResumed   Change = "collection_resumed"
	ChangeBillingCycle        Change = "billing_cycle_changed"
	ChangeCollectionMethod    Change = "collection_method_changed"
	ChangeSchedule            Change = "schedule_changed"
	ChangePaymentMethod       Change = "payment_method_changed"
	ChangeDiscount            Change = "discount_changed"
	ChangeMetadata            Change = "metadata_changed"
	ChangeUser                Change = "user_changed"
	ChangeOther               Change = "other"
)
