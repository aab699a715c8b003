package ops

import (
	"context"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// GaugeInterval is how often gauges are read. They are not read during a scrape: one that waits for a dependency
// that hangs would fail, and take all other metrics with it.
const GaugeInterval = 5 * time.Second

// gauges are what is true now.
type gauges struct {
	ready                                      *prometheus.GaugeVec
	natsConnected, streamDrift, secretsIgnored prometheus.Gauge
	// Only the bridge reads these.
	streamBytes, streamLimit *reading
	// Only the subscriber reads these.
	pending, oldestPending, deadLetters, gaps *reading
}

func newGauges() gauges {
	g := gauges{
		ready: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "billbus_ready", Help: "Whether a readiness check passes (1) or not (0).",
		}, []string{"check"}),
		natsConnected:  gauge("billbus_nats_connected", "Whether there is a connection to NATS (1) or not (0)."),
		streamDrift:    gauge("billbus_stream_drift", "Differences between the streams or the consumer and the settings."),
		secretsIgnored: gauge("billbus_secret_file_ignored", "Whether the file of signing secrets is wrong or missing, and the old secrets stay in use (1) or not (0)."),
		streamBytes:    newReading("billbus_stream_bytes", "Size of the stream."),
		streamLimit:    newReading("billbus_stream_limit_bytes", "Largest size of the stream; -1 is no limit."),
		pending:        newReading("billbus_consumer_pending", "Messages of the stream that the consumer has not acknowledged yet."),
		oldestPending:  newReading("billbus_oldest_pending_seconds", "How long the oldest message that the consumer has not acknowledged has been in the stream."),
		deadLetters:    newReading("billbus_dead_letters", "Dead letters now in their stream."),
		gaps:           newReading("billbus_gaps", "Places where events of a subscription are missing, for 15 minutes or more."),
	}
	g.streamDrift.Set(math.NaN())
	return g
}

// ReadByBridge adds the gauges that a bridge reads.
func (m *Metrics) ReadByBridge() { m.registry.MustRegister(m.streamBytes, m.streamLimit) }

// ReadBySubscriber adds the gauges that a subscriber reads.
func (m *Metrics) ReadBySubscriber() {
	m.registry.MustRegister(m.pending, m.oldestPending, m.deadLetters, m.gaps)
}

// SetReady says whether a readiness check passes.
func (m *Metrics) SetReady(check string, ok bool) { m.ready.WithLabelValues(check).Set(truth(ok)) }

// SetNATSConnected says whether there is a connection to NATS.
func (m *Metrics) SetNATSConnected(connected bool) { m.natsConnected.Set(truth(connected)) }

// SetStreamDrift sets how many differences there are between the streams or the consumer and the settings.
func (m *Metrics) SetStreamDrift(n int) { m.streamDrift.Set(float64(n)) }

// SetStreamSize sets the size of the stream and its limit, which is -1 if there is none.
func (m *Metrics) SetStreamSize(bytes uint64, limit int64) {
	m.streamBytes.read(float64(bytes))
	m.streamLimit.read(float64(limit))
}

// SetConsumerPending sets how many messages wait in the stream.
func (m *Metrics) SetConsumerPending(n uint64) { m.pending.read(float64(n)) }

// SetOldestPending sets how long the oldest of the messages that wait has been in the stream.
func (m *Metrics) SetOldestPending(age time.Duration) { m.oldestPending.read(age.Seconds()) }

// SetDeadLetters sets how many dead letters there are.
func (m *Metrics) SetDeadLetters(n uint64) { m.deadLetters.read(float64(n)) }

// SetGaps sets in how many places events are missing.
func (m *Metrics) SetGaps(n uint64) { m.gaps.read(float64(n)) }

// SecretsLoaded notes the names of the signing secrets in use, or why a file with others is ignored. It must
// not be called concurrently.
func (m *Metrics) SecretsLoaded(names []string, err error) {
	m.secretsIgnored.Set(truth(err != nil))
	if err != nil {
		m.reloadsFailed.Inc()
		return
	}
	for _, old := range m.secrets {
		if !slices.Contains(names, old) {
			m.verifications.DeleteLabelValues(old)
		}
	}
	for _, name := range names {
		m.verifications.WithLabelValues(name)
	}
	m.secrets = names
}

// watchReady keeps the results of the readiness checks up to date until ctx is done.
func (m *Metrics) watchReady(ctx context.Context, h *Health) {
	Every(ctx, GaugeInterval, func() {
		report := h.Ready(ctx)
		if ctx.Err() != nil {
			return // the checks were canceled
		}
		for name, result := range report.Checks {
			m.SetReady(name, result.OK)
		}
	})
}

// reading is a gauge whose value has to be fetched. It is NaN until that succeeds for the first time, since 0
// would say that all is well. While it fails, the last value stays, and billbus_gauge_age_seconds grows.
type reading struct {
	prometheus.Gauge
	age prometheus.GaugeFunc
	at  atomic.Pointer[time.Time]
}

func newReading(name, help string) *reading {
	r := &reading{Gauge: gauge(name, help)}
	r.read(math.NaN())
	r.age = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "billbus_gauge_age_seconds", Help: "How long ago a gauge was read; since the start if it never was.",
		ConstLabels: prometheus.Labels{"gauge": name},
	}, func() float64 { return time.Since(*r.at.Load()).Seconds() })
	return r
}

func (r *reading) read(value float64) {
	now := time.Now()
	r.at.Store(&now)
	r.Set(value)
}

// Describe implements prometheus.Collector.
func (r *reading) Describe(ch chan<- *prometheus.Desc) {
	r.Gauge.Describe(ch)
	r.age.Describe(ch)
}

// Collect implements prometheus.Collector.
func (r *reading) Collect(ch chan<- prometheus.Metric) {
	r.Gauge.Collect(ch)
	r.age.Collect(ch)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
