package ops

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/billbus/billbus/internal/fault"
)

// Metrics counts what one program does. Labels are outcomes, reasons and names from the
// configuration, never customers or texts of errors, whose number has no limit.
type Metrics struct {
	// OnRejection, if not nil, is called for each webhook that is rejected.
	OnRejection func(reason fault.Reason)

	registry *prometheus.Registry

	webhooks      *prometheus.CounterVec
	webhookTime   prometheus.Histogram
	rejections    *prometheus.CounterVec
	ignored       *prometheus.CounterVec
	verifications *prometheus.CounterVec
	publishTime   prometheus.Histogram
	resolutions   *prometheus.CounterVec
	backfilled    *prometheus.CounterVec
	messages      *prometheus.CounterVec
	overlaps      prometheus.Counter
	applyTime     prometheus.Histogram
	lag           prometheus.Histogram
	redeliveries  prometheus.Counter
	userIDs       *prometheus.CounterVec
	recreated     prometheus.Counter
	reloadsFailed prometheus.Counter
	accessChanges *prometheus.CounterVec
	viewLag       prometheus.Histogram
	secrets       []string // names of the signing secrets in use
	gauges
}

// NewMetrics returns metrics in their own registry, which also has those of Go and the process. Counters
// begin at zero under each label that is known: Prometheus does not see the first increase of a counter
// that appears with it.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry:      prometheus.NewRegistry(),
		webhooks:      counters("billbus_webhooks_total", "Webhooks answered.", "outcome", "stored", "ignored", "rejected", "unavailable"),
		webhookTime:   histogram("billbus_webhook_duration_seconds", "From a webhook's arrival to its answer.", requestBuckets()),
		rejections:    counters("billbus_webhook_rejections_total", "Webhooks refused.", "reason", rejectionReasons()...),
		ignored:       counters("billbus_webhooks_ignored_total", "Events stored and not admitted.", "reason", "livemode", "account"),
		verifications: counters("billbus_secret_verifications_total", "Webhooks verified, by name of the secret.", "secret"),
		publishTime:   histogram("billbus_publish_duration_seconds", "From publishing a message to the stream's answer.", requestBuckets()),
		resolutions: counters("billbus_resolutions_total", "Messages for which Stripe's API was to be asked.", "outcome",
			"event", "snapshot", "missing", "ignored", "rejected", "no_key", "unreadable", "transient"),
		backfilled: counters("billbus_backfilled_total", "Events that were looked for at Stripe.", "outcome", "published", "already_there", "unreadable"),
		messages: counters("billbus_messages_total", "Messages worked on.", "outcome",
			"applied", "recorded", "duplicate", "transient", "held", "permanent"),
		overlaps:     counter("billbus_endpoint_overlap_total", "Messages whose event is stored in another API version."),
		applyTime:    histogram("billbus_apply_duration_seconds", "Storing one message.", requestBuckets()),
		lag:          histogram("billbus_event_lag_seconds", "From an event's creation at Stripe to its state being stored.", lagBuckets()),
		redeliveries: counter("billbus_consumer_redeliveries_total", "Messages delivered again."),
		userIDs: counters("billbus_user_id_total", "User ids resolved, by where they were found.", "source",
			"subscription_metadata", "checkout_session", "customer_metadata", "link", "customer_checkout_session", "none"),
		recreated:     counter("billbus_stream_recreated_total", "Streams that had been deleted and were created again."),
		reloadsFailed: counter("billbus_secret_reloads_failed_total", "Attempts to read the file of signing secrets that failed."),
		accessChanges: counters("billbus_access_changes_total", "Messages about changes of access.", "kind", "granted", "changed", "revoked"),
		viewLag:       histogram("billbus_state_view_lag_seconds", "From a record being stored to its entry in the state view.", requestBuckets()),
		gauges:        newGauges(),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.webhooks, m.webhookTime, m.rejections, m.ignored, m.verifications, m.publishTime, m.resolutions, m.backfilled,
		m.messages, m.overlaps, m.applyTime, m.lag, m.redeliveries, m.userIDs, m.recreated, m.reloadsFailed, m.accessChanges, m.viewLag,
		m.ready, m.natsConnected, m.streamDrift, m.secretsIgnored,
	)
	return m
}

// Handler serves the metrics to Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// WebhookDone counts a webhook and how long it took to answer.
func (m *Metrics) WebhookDone(outcome string, d time.Duration) {
	m.webhooks.WithLabelValues(outcome).Inc()
	m.webhookTime.Observe(d.Seconds())
}

// WebhookRejected counts a rejected webhook.
func (m *Metrics) WebhookRejected(reason fault.Reason) {
	m.rejections.WithLabelValues(string(reason)).Inc()
	if m.OnRejection != nil {
		m.OnRejection(reason)
	}
}

// WebhookIgnored counts an event that was not admitted.
func (m *Metrics) WebhookIgnored(reason string) { m.ignored.WithLabelValues(reason).Inc() }

// SecretVerified counts a webhook that this secret verified. An old secret can be removed once its
// count no longer grows.
func (m *Metrics) SecretVerified(name string) { m.verifications.WithLabelValues(name).Inc() }

// PublishDone observes how long the stream took to answer.
func (m *Metrics) PublishDone(d time.Duration) { m.publishTime.Observe(d.Seconds()) }

// ResolveDone counts a message for which Stripe's API had to be called.
func (m *Metrics) ResolveDone(outcome string) { m.resolutions.WithLabelValues(outcome).Inc() }

// Backfilled counts events that were looked for at Stripe.
func (m *Metrics) Backfilled(outcome string, n int) {
	m.backfilled.WithLabelValues(outcome).Add(float64(n))
}

// MessageDone counts a message and how long it took to handle.
func (m *Metrics) MessageDone(outcome string, d time.Duration) {
	m.messages.WithLabelValues(outcome).Inc()
	m.applyTime.Observe(d.Seconds())
}

// EndpointOverlap counts a message whose event is stored in another API version.
func (m *Metrics) EndpointOverlap() { m.overlaps.Inc() }

// EventLag observes the time from an event's creation until its state was stored. A negative lag,
// which comes from a clock that is behind Stripe's, would distort the sum and counts as 0.
func (m *Metrics) EventLag(d time.Duration) { m.lag.Observe(max(d, 0).Seconds()) }

// Redelivered counts a message that had been delivered before.
func (m *Metrics) Redelivered() { m.redeliveries.Inc() }

// StreamRecreated counts a stream that existed before, was deleted, and was created again.
func (m *Metrics) StreamRecreated() { m.recreated.Inc() }

// UserID counts a user id by its source.
func (m *Metrics) UserID(source string) { m.userIDs.WithLabelValues(source).Inc() }

// AccessChanged counts a message about a change of access.
func (m *Metrics) AccessChanged(kind string) { m.accessChanges.WithLabelValues(kind).Inc() }

// StateViewLag observes the time between a record and its entry in the state view.
func (m *Metrics) StateViewLag(d time.Duration) { m.viewLag.Observe(max(d, 0).Seconds()) }

// requestBuckets start at 1 ms, which a publish to a healthy stream takes, include 3 s, the default
// timeout of a publish, and end beyond the 10 s after which Stripe stops waiting.
func requestBuckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 3, 5, 10, 20}
}

// lagBuckets start at 1 s, the resolution of Stripe's timestamps, and end beyond the three days for
// which Stripe retries.
func lagBuckets() []float64 {
	const minute, hour, day = 60, 3600, 86400
	return []float64{1, 2, 5, 10, 30, minute, 5 * minute, 15 * minute, hour, 6 * hour, day, 3 * day, 7 * day}
}

func rejectionReasons() []string {
	var names []string
	for _, reason := range []fault.Reason{
		fault.WrongPath, fault.WrongMethod, fault.WrongEncoding, fault.TooLarge, fault.BodyUnreadable, fault.SignatureMissing,
		fault.Malformed, fault.NoMatchingSecret, fault.Stale, fault.FromTheFuture, fault.NotAnEvent,
	} {
		names = append(names, string(reason))
	}
	return names
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

// counters returns a counter with one label, whose known values begin at zero.
func counters(name, help, label string, known ...string) *prometheus.CounterVec {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	for _, value := range known {
		vec.WithLabelValues(value)
	}
	return vec
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
}
