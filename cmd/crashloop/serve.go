package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"crashloop/diagnose"
)

// metrics is what /metrics tells. It implements bot.Observer.
type metrics struct {
	registry  *prometheus.Registry
	opened    *prometheus.CounterVec
	ended     *prometheus.CounterVec
	diagnosed *prometheus.CounterVec
	failed    prometheus.Counter
	took      prometheus.Histogram
}

func newMetrics(open func() int) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		opened: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crashloop_incidents_opened_total", Help: "Incidents opened, by the condition that opened them."}, []string{"condition"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crashloop_incidents_ended_total", Help: "Incidents ended, by how."}, []string{"state"}),
		diagnosed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crashloop_diagnoses_total", Help: "Diagnoses made, by cause and confidence; one incident has several."}, []string{"cause", "confidence"}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "crashloop_diagnosis_failures_total", Help: "Diagnoses that could not be made because the cluster did not answer."}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "crashloop_diagnosis_duration_seconds", Help: "How long one diagnosis took, reads included.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20}}),
	}
	m.registry.MustRegister(m.opened, m.ended, m.diagnosed, m.failed, m.took,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "crashloop_incidents_open", Help: "Incidents that are open now."}, func() float64 { return float64(open()) }))
	return m
}

func (m *metrics) Opened(inc diagnose.Incident) {
	m.opened.WithLabelValues(string(inc.Condition)).Inc()
}

func (m *metrics) Ended(inc diagnose.Incident) { m.ended.WithLabelValues(string(inc.State)).Inc() }

func (m *metrics) Diagnosed(d diagnose.Diagnosis, took time.Duration, err error) {
	if err != nil {
		m.failed.Inc()
		return
	}
	m.diagnosed.WithLabelValues(d.Cause, string(d.Confidence)).Inc()
	m.took.Observe(took.Seconds())
}

// condition is one thing that must hold for the bot to be of use. It returns nil, or what is wrong.
type condition struct {
	name  string
	holds func() error
}

// server answers /healthz, /readyz and /metrics, also while another replica runs the bot and this one stands by.
type server struct {
	metrics  *metrics
	open     atomic.Pointer[func() int]
	ready    atomic.Pointer[[]condition] // nil while standing by
	draining atomic.Bool
}

func newServer() *server {
	s := &server{}
	s.metrics = newMetrics(func() int {
		if open := s.open.Load(); open != nil {
			return (*open)()
		}
		return 0
	})
	return s
}

// starting says that the bot is to run here and does not yet.
func (s *server) starting() {
	s.ready.Store(&[]condition{{"start", func() error { return errors.New("the bot is starting") }}})
}

// activate says that the bot runs here, how many incidents are open, and what must hold for it to be ready.
func (s *server) activate(open func() int, ready []condition) {
	s.open.Store(&open)
	s.ready.Store(&ready)
}

// deactivate says that the bot no longer runs here.
func (s *server) deactivate() {
	s.open.Store(nil)
	s.ready.Store(nil)
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		var wrong []string
		if s.draining.Load() {
			wrong = append(wrong, "the program is shutting down")
		}
		var conditions []condition
		if ready := s.ready.Load(); ready != nil {
			conditions = *ready
		}
		for _, c := range conditions {
			if err := c.holds(); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s: %v", c.name, err))
			}
		}
		if len(wrong) > 0 {
			slices.Sort(wrong)
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, strings.Join(wrong, "\n"))
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

// serve answers on the listener until ctx ends, then lets requests under way finish for a moment.
func (s *server) serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}
	stopped := make(chan error, 1)
	go func() { stopped <- h.Serve(l) }()
	select {
	case err := <-stopped:
		return fmt.Errorf("serving health and metrics on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := h.Shutdown(bounded); err != nil {
		h.Close()
	}
	if err := <-stopped; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
