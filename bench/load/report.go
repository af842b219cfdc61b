// SPDX-License-Identifier: MIT

package load

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"
)

// Report is what a load program prints as one line of JSON, and the Lua scripts
// of wrk as well.
type Report struct {
	Requests int64   `json:"requests"`
	Seconds  float64 `json:"seconds"`
	Bytes    int64   `json:"bytes"`  // of bodies, or of answers with wrk
	P50      float64 `json:"p50_us"` // latency in microseconds
	P99      float64 `json:"p99_us"`
	Errors   int64   `json:"errors"`
}

// SetLatencies fills the percentiles in. It sorts its argument.
func (r *Report) SetLatencies(latencies []time.Duration) {
	if len(latencies) == 0 {
		return
	}
	slices.Sort(latencies)
	at := func(share float64) float64 {
		return float64(latencies[int(share*float64(len(latencies)-1))]) / float64(time.Microsecond)
	}
	r.P50, r.P99 = at(0.50), at(0.99)
}

// Print writes the report to standard output.
func (r *Report) Print() error { return json.NewEncoder(os.Stdout).Encode(r) }

// Exit ends the program when err is not nil.
func Exit(name string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}
