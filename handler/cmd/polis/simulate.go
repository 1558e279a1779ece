package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/simulate"
)

// simulateCmd has the settings that one plays with; the others are in --settings.
type simulateCmd struct {
	Customers   []count  `help:"Customers of each tenant; their runs start at once, in this order." default:"1000000"`
	Buckets     []int    `help:"Buckets of each tenant; by default as many as its book should have."`
	Width       *int     `help:"Chunks of a run under way at a time; 0: all."`
	Instances   *int     `help:"Instances at most."`
	Ready       *int     `help:"Of these, warm when the runs start; by default 16, or all if they are fewer."`
	Concurrency *int     `help:"Chunks at a time of an instance."`
	Cores       *float64 `help:"Cores of an instance."`
	Written     *float64 `help:"Share of customers that are written; 1 is a first run."`
	Latency     *float64 `help:"Of a request to the store, seconds."`
	Throughput  *float64 `help:"Request units a second that the store gives; 0: any number."`
	Failing     *float64 `help:"Share of requests that fail."`
	Crashes     *float64 `help:"Of an instance in an hour."`
	Seed        *uint64  `help:"Of chance."`
	JSON        bool     `name:"json" help:"Print settings and result as JSON."`
}

// set puts what was given in place of the default.
func set[T any](to *T, given *T) {
	if given != nil {
		*to = *given
	}
}

func (m *simulateCmd) settings() (simulate.Settings, error) {
	s := simulate.Defaults()
	if len(m.Buckets) > 0 && len(m.Buckets) != len(m.Customers) {
		return s, fault.New(fault.Unconfigured, "--buckets has a number for each of --customers, or is left out")
	}
	s.Tenants = nil
	for i, n := range m.Customers {
		t := simulate.Tenant{Customers: int(n), Buckets: book.BucketsFor(int(n))}
		if len(m.Buckets) > 0 {
			t.Buckets = m.Buckets[i]
		}
		s.Tenants = append(s.Tenants, t)
	}
	set(&s.Width, m.Width)
	set(&s.Instances, m.Instances)
	s.Ready = min(s.Ready, s.Instances)
	set(&s.Ready, m.Ready)
	set(&s.Concurrency, m.Concurrency)
	set(&s.Cores, m.Cores)
	set(&s.Written, m.Written)
	set(&s.Latency, m.Latency)
	set(&s.Throughput, m.Throughput)
	set(&s.Failing, m.Failing)
	set(&s.Crashes, m.Crashes)
	set(&s.Seed, m.Seed)
	return s, s.Check()
}

func (m *simulateCmd) Run() error {
	s, err := m.settings()
	if err != nil {
		return err
	}
	r, err := simulate.Run(s)
	if err != nil {
		return err
	}
	if m.JSON {
		return printJSON(struct {
			Settings simulate.Settings `json:"settings"`
			Result   *simulate.Result  `json:"result"`
		}{s, r})
	}
	return printSimulated(os.Stdout, &s, r)
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond)
}

func printSimulated(w io.Writer, s *simulate.Settings, r *simulate.Result) error {
	state := "done after"
	if !r.Done {
		state = "NOT DONE after"
	}
	fmt.Fprintf(w, "%s %s; %d instances of %g cores with %d chunks at a time, %.0f%% busy\n", state, seconds(r.Seconds), s.Instances, s.Cores, s.Concurrency, 100*r.Busy)
	fmt.Fprintf(w, "request units   %.0f (%.0f a second), %d requests\n", r.Units, r.Units/max(r.Seconds, 1), r.Requests)
	fmt.Fprintf(w, "retries         %d: %d throttled, %d failed\n", r.Retries, r.Throttled, r.Failed)
	fmt.Fprintf(w, "redeliveries    %d: %d crashes, %d chunks given up; %d dead letters\n", r.Redelivery, r.Crashes, r.GivenUp, r.Dead)
	fmt.Fprintf(w, "longest chunk   %s\n\n", seconds(r.Longest))
	fmt.Fprintf(w, "%12s %8s %12s %15s\n", "customers", "chunks", "done after", "most under way")
	for _, t := range r.Tenants {
		after := "never"
		if t.Seconds > 0 {
			after = seconds(t.Seconds).String()
		}
		if _, err := fmt.Fprintf(w, "%12d %8d %12s %15d\n", t.Customers, t.Buckets, after, t.Most); err != nil {
			return err
		}
	}
	return nil
}
